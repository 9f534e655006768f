package git

import (
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/headrace/terraform-provider-headrace/backend/internal/action"
)

// repository is where to fetch from, with credentials apart from the address.
type repository struct {
	// address is what git, the log and errors get; it holds no credentials.
	address            string
	username, password string
	// path is the directory of a repository on this machine.
	path string
	// ssh tells that git uses ssh.
	ssh bool
}

var (
	// remoteHelper is git's syntax for running a program: ext::, fd::.
	remoteHelper = regexp.MustCompile(`^[A-Za-z0-9+.-]*::`)
	// scpLike is user@host:path.
	scpLike = regexp.MustCompile(`^(?:[A-Za-z0-9_.][^@:/\s]*@)?[A-Za-z0-9\[][^:/\s]*:[^\s]+$`)
	// colonBeforeAt is user:password@host:path, of which git would take the
	// password for a path and print it.
	colonBeforeAt = regexp.MustCompile(`^[^@]*:[^@]*@`)
	// commitID is a whole SHA-1 or SHA-256.
	commitID = regexp.MustCompile(`^(?:[0-9a-fA-F]{40}|[0-9a-fA-F]{64})$`)
	// noRef matches what git check-ref-format refuses, a colon (which would make
	// it a refspec) included.
	noRef = regexp.MustCompile(`[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|//|^[-/.]|/\.|[/.]$|\.lock(?:/|$)|^@$`)
)

// parseRepository accepts what cannot make git run a program. Its errors never
// hold the text, which may hold credentials.
func parseRepository(text string) (repository, error) {
	switch {
	case text == "":
		return repository{}, errors.New("it is empty")
	case strings.HasPrefix(text, "-") || remoteHelper.MatchString(text) || strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r == 0x7f }):
		return repository{}, errors.New("it is not the address of a repository")
	case filepath.IsAbs(text):
		return repository{address: text, path: text}, nil
	case strings.Contains(text, "://"):
		return parseURL(text)
	case colonBeforeAt.MatchString(text):
		return repository{}, errors.New("it has a : before the @, as a password would; ssh takes none from an address: use a key of the user that the runner runs as, and ssh://host/path for a path with @")
	case scpLike.MatchString(text):
		return repository{address: text, ssh: true}, nil
	}
	return repository{}, errors.New("it is neither a URL, nor user@host:path, nor an absolute path")
}

func parseURL(text string) (repository, error) {
	parsed, err := url.Parse(text)
	if err != nil {
		return repository{}, errors.New("it is not a valid URL; encode special characters in the user name and password, as %40 for @")
	}
	if strings.HasPrefix(parsed.Host, "-") || strings.HasPrefix(parsed.User.Username(), "-") {
		return repository{}, errors.New("its host or user begins with a dash")
	}
	password, hasPassword := parsed.User.Password()
	switch parsed.Scheme {
	case "file":
		return repository{address: text, path: parsed.Path}, nil
	case "ssh":
		if hasPassword {
			return repository{}, errors.New("ssh takes no password from a URL; remove it and use a key of the user that the runner runs as")
		}
		return repository{address: text, ssh: true}, nil
	case "https", "http":
		r := repository{username: parsed.User.Username(), password: password}
		parsed.User = nil
		r.address = parsed.String()
		return r, nil
	}
	return repository{}, fmt.Errorf("the scheme %q is not supported; use https, ssh, http or file", parsed.Scheme)
}

// secrets returns what must not be shown. A user name may be a token.
func (r repository) secrets() []string {
	all := []string{r.username, r.password}
	for _, s := range []string{r.username, r.password} {
		all = append(all, url.QueryEscape(s), url.PathEscape(s))
	}
	return all
}

// target is which revision to fetch. The commit counts, if there is one; branch and tag then
// say where it came from.
type target struct {
	branch, tag, commit string
	// head is set if HEAD of the repository does not name a branch.
	head bool
}

// fetchRef returns what to fetch. A clone keeps it under its name.
func (t target) fetchRef(clone bool) string {
	ref, kept := "", ""
	switch {
	case t.commit != "":
		return t.commit
	case t.branch != "":
		ref, kept = "refs/heads/"+t.branch, "refs/remotes/origin/"+t.branch
	case t.tag != "":
		ref, kept = "refs/tags/"+t.tag, "refs/tags/"+t.tag
	case t.head:
		return "HEAD"
	}
	if ref != "" && clone {
		return "+" + ref + ":" + kept
	}
	return ref
}

// parseTarget reads the configuration; its errors name the key.
func parseTarget(configuration map[string]string) (target, error) {
	t := target{branch: configuration["Branch"], tag: configuration["Tag"], commit: configuration["Commit"]}
	given := 0
	for _, value := range []string{t.branch, t.tag, t.commit} {
		if value != "" {
			given++
		}
	}
	switch {
	case given > 1:
		return target{}, errors.New("at most one of Branch, Tag and Commit can be given; remove the others")
	case noRef.MatchString(t.branch):
		return target{}, fmt.Errorf("the Branch %q is not a valid name of a branch; give it without refs/heads/ and without wildcards", t.branch)
	case noRef.MatchString(t.tag):
		return target{}, fmt.Errorf("the Tag %q is not a valid name of a tag; give it without refs/tags/ and without wildcards", t.tag)
	case t.commit != "" && !commitID.MatchString(t.commit):
		return target{}, fmt.Errorf("the Commit %q is not a full commit id of 40 or 64 hexadecimal digits; print it with `git rev-parse %s`", t.commit, t.commit)
	}
	t.commit = strings.ToLower(t.commit)
	return t, nil
}

// changed says where the commit came from, if a change started the execution.
func (t *target) changed(change *action.Change) {
	if change == nil || t.commit == "" {
		return
	}
	branch, isBranch := strings.CutPrefix(change.Ref, "refs/heads/")
	tag, isTag := strings.CutPrefix(change.Ref, "refs/tags/")
	t.branch, t.tag = "", ""
	switch {
	case isBranch && !noRef.MatchString(branch):
		t.branch = branch
	case isTag && !noRef.MatchString(tag):
		t.tag = tag
	}
}

// String returns the target in words.
func (t target) String() string {
	switch {
	case t.commit != "" && t.branch != "":
		return fmt.Sprintf("commit %s of branch %q", t.commit, t.branch)
	case t.commit != "" && t.tag != "":
		return fmt.Sprintf("commit %s of tag %q", t.commit, t.tag)
	case t.branch != "":
		return fmt.Sprintf("branch %q", t.branch)
	case t.tag != "":
		return fmt.Sprintf("tag %q", t.tag)
	case t.commit != "":
		return "commit " + t.commit
	}
	return "the default branch"
}
