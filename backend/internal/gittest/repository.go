package gittest

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"os/exec"
	"slices"
	"strings"
)

// Zero is the id of a ref that does not exist, as deliveries of forges have it.
const Zero = "0000000000000000000000000000000000000000"

// began is the time of the first commit of a repository, in seconds.
const began = 1_767_225_600

// Repository is a bare repository on a host.
type Repository struct {
	tb TB
	// Name is such as acme/web, without .git.
	Name string
	// Dir is where it is.
	Dir string
	// commits counts the commits of the test, so that each has its own time.
	commits int
}

// Git runs git in the repository and returns what it printed.
func (r *Repository) Git(args ...string) string {
	r.tb.Helper()
	return run(r.tb, r.Dir, "", args...)
}

// Head returns the commit of a ref such as refs/heads/main, empty if there is no such ref.
func (r *Repository) Head(ref string) string {
	r.tb.Helper()
	return r.Git("for-each-ref", "--format=%(if)%(*objectname)%(then)%(*objectname)%(else)%(objectname)%(end)", ref)
}

// Refs returns the ids of heads and tags by their full names. The id of an annotated tag is
// that of its commit.
func (r *Repository) Refs() map[string]string {
	r.tb.Helper()
	refs := make(map[string]string)
	out := r.Git("for-each-ref", "--format=%(refname) %(if)%(*objectname)%(then)%(*objectname)%(else)%(objectname)%(end)", "refs/heads", "refs/tags")
	for line := range strings.Lines(out) {
		name, id, _ := strings.Cut(strings.TrimSpace(line), " ")
		refs[name] = id
	}
	return refs
}

// Commit is a commit that a test makes.
type Commit struct {
	// Branch is the branch that the commit is put on, without refs/heads/. The branch is
	// made if there is none.
	Branch string
	// Onto is the parent, instead of the head of the branch: what is not on top of that is
	// a force push.
	Onto string
	// Root makes a commit without parents.
	Root bool
	// Merge are further parents.
	Merge []string
	// Message is "Change" if empty.
	Message string
	// Files are what is written by path. Remove are paths that are removed.
	Files  map[string]string
	Remove []string
	// Submodules are commits of other repositories by path.
	Submodules map[string]string
}

// Commit puts a commit on a branch and returns its id. With no files it changes a file
// named "file".
func (r *Repository) Commit(branch string, files map[string]string) string {
	r.tb.Helper()
	return r.Make(Commit{Branch: branch, Files: files})
}

// Make makes a commit and returns its id.
func (r *Repository) Make(c Commit) string {
	r.tb.Helper()
	if len(c.Files)+len(c.Remove)+len(c.Submodules)+len(c.Merge) == 0 {
		c.Files = map[string]string{"file": fmt.Sprintf("%d\n", r.commits)}
	}
	ref := "refs/heads/" + c.Branch
	parent := c.Onto
	if parent == "" && !c.Root {
		parent = r.Head(ref)
	}
	message := c.Message
	if message == "" {
		message = "Change"
	}
	r.importStream(func(w io.Writer) {
		r.begin(w, ref, message, parent, c.Merge)
		for _, path := range c.Remove {
			fmt.Fprintf(w, "D %s\n", quote(path))
		}
		for _, path := range slices.Sorted(maps.Keys(c.Files)) {
			fmt.Fprintf(w, "M 100644 inline %s\ndata %d\n%s\n", quote(path), len(c.Files[path]), c.Files[path])
		}
		for _, path := range slices.Sorted(maps.Keys(c.Submodules)) {
			fmt.Fprintf(w, "M 160000 %s %s\n", c.Submodules[path], quote(path))
		}
	})
	return r.Head(ref)
}

// Merge merges a commit or branch into a branch with the files of both, and returns the
// id of the merge.
func (r *Repository) Merge(branch, other string) string {
	r.tb.Helper()
	theirs := r.Git("rev-parse", other+"^{commit}")
	files := make(map[string]string)
	// What the other has since both were one; a conflict is won by it.
	for path := range strings.SplitSeq(r.Git("diff-tree", "-r", "-z", "--no-renames", "--name-only", "--diff-filter=d",
		r.Git("merge-base", "refs/heads/"+branch, theirs), theirs), "\x00") {
		if path != "" {
			files[path] = r.Git("cat-file", "blob", theirs+":"+path) + "\n"
		}
	}
	return r.Make(Commit{Branch: branch, Merge: []string{theirs}, Message: "Merge " + other, Files: files})
}

// Branch puts a branch at a commit, wherever it was.
func (r *Repository) Branch(name, commit string) {
	r.tb.Helper()
	r.Git("update-ref", "refs/heads/"+name, commit)
}

// Tag puts a tag at a commit, wherever it was.
func (r *Repository) Tag(name, commit string) {
	r.tb.Helper()
	r.Git("update-ref", "refs/tags/"+name, commit)
}

// AnnotatedTag puts an annotated tag at a commit and returns the id of the tag itself.
func (r *Repository) AnnotatedTag(name, commit, message string) string {
	r.tb.Helper()
	r.Git("tag", "--force", "--annotate", "--message", message, name, commit)
	return r.Git("rev-parse", "refs/tags/"+name)
}

// Delete deletes a ref.
func (r *Repository) Delete(ref string) {
	r.tb.Helper()
	r.Git("update-ref", "-d", ref)
}

// SetDefault makes a branch the default branch.
func (r *Repository) SetDefault(branch string) {
	r.tb.Helper()
	r.Git("symbolic-ref", "HEAD", "refs/heads/"+branch)
}

// Fill puts a commit with many files on a branch and returns its id. Path returns where
// they are.
func (r *Repository) Fill(branch string, files int) string {
	r.tb.Helper()
	ref := "refs/heads/" + branch
	parent := r.Head(ref)
	r.importStream(func(w io.Writer) {
		r.begin(w, ref, fmt.Sprintf("Add %d files", files), parent, nil)
		for i := range files {
			change(w, i, fmt.Sprintf("of commit %d", r.commits))
		}
	})
	return r.Head(ref)
}

// Grow puts many commits on a branch and returns the id of the last. Together they change
// the first files of Fill, each of them once.
func (r *Repository) Grow(branch string, commits, files int) string {
	r.tb.Helper()
	ref := "refs/heads/" + branch
	parent := r.Head(ref)
	r.importStream(func(w io.Writer) {
		for i := range commits {
			r.begin(w, ref, fmt.Sprintf("Change %d", i+1), parent, nil)
			parent = ""
			for file := i * files / commits; file < (i+1)*files/commits; file++ {
				change(w, file, fmt.Sprintf("of commit %d", r.commits))
			}
		}
	})
	return r.Head(ref)
}

// Path returns the path of a file of Fill. A directory has at most 50 entries.
func Path(file int) string {
	return fmt.Sprintf("d%02d/e%02d/f%02d.txt", file/1000, file/20%50, file%20)
}

func change(w io.Writer, file int, text string) {
	text = fmt.Sprintf("file %d %s\n", file, text)
	fmt.Fprintf(w, "M 100644 inline %s\ndata %d\n%s\n", Path(file), len(text), text)
}

// begin writes the head of a commit to a stream of git fast-import. With no parent the
// commit is on top of what the stream put on the ref before.
func (r *Repository) begin(w io.Writer, ref, message, parent string, merge []string) {
	r.commits++
	when := began + 60*r.commits
	fmt.Fprintf(w, "commit %s\nauthor Ada Löve <ada@example.com> %d +0200\ncommitter Cleo <cleo@example.com> %d +0000\ndata %d\n%s\n",
		ref, when, when, len(message), message)
	if parent != "" {
		fmt.Fprintf(w, "from %s\n", parent)
	}
	for _, other := range merge {
		fmt.Fprintf(w, "merge %s\n", other)
	}
}

// importStream runs git fast-import, which makes thousands of commits a second.
func (r *Repository) importStream(write func(io.Writer)) {
	r.tb.Helper()
	cmd := exec.CommandContext(context.WithoutCancel(r.tb.Context()), "git", "-c", "fastimport.unpackLimit=100", "fast-import", "--quiet", "--force", "--date-format=raw")
	cmd.Dir, cmd.Env = r.Dir, environment()
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	in, err := cmd.StdinPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		r.tb.Fatalf("git fast-import: %v", err)
	}
	buffered := bufio.NewWriter(in)
	write(buffered)
	// A failure to write is one of git, which says why.
	_, _ = buffered.Flush(), in.Close()
	if err := cmd.Wait(); err != nil {
		r.tb.Fatalf("git fast-import: %v: %s", err, &stderr)
	}
}

// quote writes a path of any bytes as git fast-import reads it.
func quote(path string) string {
	var b strings.Builder
	b.WriteByte('"')
	for i := range len(path) {
		switch c := path[i]; {
		case c == '"' || c == '\\':
			b.WriteByte('\\')
			b.WriteByte(c)
		case c < ' ' || c >= 0x7f:
			fmt.Fprintf(&b, "\\%03o", c)
		default:
			b.WriteByte(c)
		}
	}
	b.WriteByte('"')
	return b.String()
}
