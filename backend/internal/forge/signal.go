package forge

// Move sets what a push says.
func (s *Signal) Move(ref, before, after string) error {
	if err := CheckRef("ref", ref); err != nil {
		return err
	}
	var err error
	if s.Before, err = CommitID("before", before); err != nil {
		return err
	}
	if s.After, err = CommitID("after", after); err != nil {
		return err
	}
	if s.Before == "" && s.After == "" {
		return MalformedBy("before and after both say that %s does not exist", Quoted(ref))
	}
	s.Ref, s.Created, s.Deleted = ref, s.Before == "", s.After == ""
	return nil
}

// SetPullRequest sets what happened to a pull request, after it has checked it. The ref is
// that of the head; before is the head before an update, empty if the forge does not send it.
func (s *Signal) SetPullRequest(pull PullRequest, ref, before string) error {
	if pull.Number < 1 {
		return MalformedBy("number: %d is not the number of a pull request", pull.Number)
	}
	if err := CheckBranch("source branch", pull.SourceBranch); err != nil {
		return err
	}
	if err := CheckBranch("destination branch", pull.DestinationBranch); err != nil {
		return err
	}
	var err error
	if pull.HeadCommit, err = OptionalCommitID("head commit", pull.HeadCommit); err != nil {
		return err
	}
	if pull.BaseCommit, err = OptionalCommitID("base commit", pull.BaseCommit); err != nil {
		return err
	}
	if pull.MergeCommit, err = OptionalCommitID("merge commit", pull.MergeCommit); err != nil {
		return err
	}
	if s.Before, err = OptionalCommitID("before", before); err != nil {
		return err
	}
	if pull.HeadCommit == "" && pull.Action != Closed {
		return MalformedBy("head commit: missing")
	}
	s.Ref, s.After, s.PullRequest = ref, pull.HeadCommit, &pull
	if s.Head.ID == "" {
		s.Head.ID = pull.HeadCommit
	}
	return nil
}

// WholeRef returns the full name of a branch or tag.
func WholeRef(kind, name string) (string, error) {
	if err := CheckBranch("ref", name); err != nil {
		return "", err
	}
	switch kind {
	case "branch":
		return "refs/heads/" + name, nil
	case "tag":
		return "refs/tags/" + name, nil
	default:
		return "", Ignore("the ref %s is a %s, neither a branch nor a tag", Quoted(name), Quoted(kind))
	}
}
