package mirror_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/internal/gitauth"
	"github.com/headrace/terraform-provider-headrace/backend/internal/gittest"
	"github.com/headrace/terraform-provider-headrace/backend/internal/mirror"
)

const token = "ghs_sentinel1234567890"

// patience is for a machine that does many things at once.
const patience = time.Minute

// web is the repository of most tests.
func web() mirror.Repository {
	return mirror.Repository{Account: "default", ID: "r1", Connection: "github", Name: "acme/web"}
}

// site is a host with a repository and the mirrors of a server.
type site struct {
	*mirror.Mirrors

	dir    string
	host   *gittest.Host
	repo   *gittest.Repository
	server *gittest.HTTPServer
	now    atomic.Pointer[time.Time]
}

func newSite(t *testing.T, flags ...string) *site {
	t.Helper()
	s := &site{dir: filepath.Join(t.TempDir(), "mirrors"), host: gittest.NewHost(t)}
	s.repo = s.host.Repository("acme/web", flags...)
	s.server = s.host.HTTP()
	s.server.Allow("x-access-token", token)
	start := time.Date(2026, 12, 1, 12, 0, 0, 0, time.UTC)
	s.now.Store(&start)
	s.open(t, nil)
	return s
}

// open opens the mirrors, whose remotes are on the HTTP server if there is no other.
func (s *site) open(t *testing.T, change func(*mirror.Config)) {
	t.Helper()
	config := mirror.Config{
		Dir: s.dir, Limit: 1 << 30, Clock: func() time.Time { return *s.now.Load() }, Log: hclog.NewNullLogger(),
		Remote: func(_ context.Context, r mirror.Repository) (gitauth.Remote, error) {
			return gitauth.Remote{URL: s.server.Base() + "/" + r.Name + ".git", Username: "x-access-token", Password: token}, nil
		},
	}
	if change != nil {
		change(&config)
	}
	if s.Mirrors != nil {
		require.NoError(t, s.Close())
	}
	mirrors, err := mirror.Open(config)
	require.NoError(t, err)
	s.Mirrors = mirrors
	t.Cleanup(func() { require.NoError(t, mirrors.Close()) })
}

func (s *site) changed(t *testing.T, base, head string) []string {
	t.Helper()
	changes, err := s.ChangedFiles(t.Context(), web(), base, head)
	require.NoError(t, err)
	require.Empty(t, changes.Unknown)
	return texts(changes.Paths)
}

func texts(paths [][]byte) []string {
	var all []string
	for _, path := range paths {
		all = append(all, string(path))
	}
	return all
}

func TestRefs(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	first := s.repo.Commit("main", nil)
	second := s.repo.Commit("feature/x", nil)
	tag := s.repo.AnnotatedTag("v1", first, "Version 1")
	s.repo.Tag("main", second)
	s.repo.Git("update-ref", "refs/pull/7/head", second)
	refs, err := s.Refs(t.Context(), web())
	require.NoError(t, err)
	require.Equal(t, &mirror.Refs{DefaultBranch: "refs/heads/main", All: []mirror.Ref{
		{Name: "refs/heads/feature/x", ID: second, Commit: second},
		{Name: "refs/heads/main", ID: first, Commit: first},
		{Name: "refs/tags/main", ID: second, Commit: second},
		{Name: "refs/tags/v1", ID: tag, Commit: first},
	}}, refs)

	// The default branch is not asked for each time, and yet is right after a rename.
	asked := s.server.Total()
	_, err = s.Refs(t.Context(), web())
	require.NoError(t, err)
	once := s.server.Total() - asked
	require.Positive(t, once)
	s.repo.Git("branch", "-m", "main", "trunk")
	refs, err = s.Refs(t.Context(), web())
	require.NoError(t, err)
	require.Equal(t, "refs/heads/trunk", refs.DefaultBranch)
	s.repo.SetDefault("feature/x")
	later := s.now.Load().Add(2 * time.Hour)
	s.now.Store(&later)
	refs, err = s.Refs(t.Context(), web())
	require.NoError(t, err)
	require.Equal(t, "refs/heads/feature/x", refs.DefaultBranch)
}

func TestRefsOfAnEmptyRepository(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	refs, err := s.Refs(t.Context(), web())
	require.NoError(t, err)
	require.Empty(t, refs.All)
}

// Calls at the same time share what is read, but a call never gets what was asked for
// before it: it may have heard of a push that came later.
func TestRefsAreAsOfTheCall(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.repo.Commit("main", nil)
	s.server.Slow(50 * time.Millisecond)
	var group sync.WaitGroup
	for range 20 {
		group.Go(func() {
			_, err := s.Refs(t.Context(), web())
			require.NoError(t, err)
		})
	}
	group.Wait()
	require.Less(t, s.server.Requests()["refs git-upload-pack"], 20)
	s.server.Slow(0)
	for range 10 {
		done := make(chan struct{})
		go func() {
			defer close(done)
			_, _ = s.Refs(t.Context(), web())
		}()
		head := s.repo.Commit("main", nil)
		refs, err := s.Refs(t.Context(), web())
		require.NoError(t, err)
		main, ok := refs.Find("refs/heads/main")
		require.True(t, ok)
		require.Equal(t, head, main.ID)
		<-done
	}
}

func TestChangedFiles(t *testing.T) {
	t.Parallel()
	for _, partial := range []bool{true, false} {
		t.Run(fmt.Sprintf("partial clone %v", partial), func(t *testing.T) {
			t.Parallel()
			s := newSite(t)
			if !partial {
				s.server.NoPartialClone()
			}
			first := s.repo.Commit("main", map[string]string{"keep": "same\n", "old": strings.Repeat("moved\n", 50), "web/a b": "1\n", "caf\xe9": "1\n"})
			lib := s.host.Repository("acme/lib").Commit("main", nil)
			second := s.repo.Make(gittest.Commit{
				Branch: "main", Remove: []string{"old"}, Submodules: map[string]string{"lib": lib},
				Files: map[string]string{"new": strings.Repeat("moved\n", 50), "web/a b": "2\n", "caf\xe9": "2\n", "line\nbreak": "1\n"},
			})
			require.Equal(t, []string{"caf\xe9", "lib", "line\nbreak", "new", "old", "web/a b"}, s.changed(t, first, second))
			require.Equal(t, s.changed(t, first, second), s.changed(t, second, first))
			require.Empty(t, s.changed(t, second, second))
			require.Equal(t, []string{"caf\xe9", "keep", "old", "web/a b"}, s.changed(t, "", first))

			// A force push: what differs, not what happened.
			forced := s.repo.Make(gittest.Commit{Branch: "main", Onto: first, Files: map[string]string{"web/a b": "2\n"}})
			require.Equal(t, []string{"caf\xe9", "lib", "line\nbreak", "new", "old"}, s.changed(t, second, forced))
			// A merge: what the branch gets by it.
			side := s.repo.Make(gittest.Commit{Branch: "side", Onto: first, Files: map[string]string{"side": "1\n"}})
			merged := s.repo.Merge("main", "side")
			require.Equal(t, []string{"side"}, s.changed(t, forced, merged))
			tag := s.repo.AnnotatedTag("v1", side, "Version 1")
			require.Equal(t, []string{"side"}, s.changed(t, first, tag))

			blobs := 0
			require.NoError(t, filepath.WalkDir(s.dir, func(path string, _ fs.DirEntry, err error) error {
				if strings.HasSuffix(path, ".pack") {
					out := s.repo.Git("verify-pack", "-v", path)
					blobs += strings.Count(out, " blob ")
				}
				return err
			}))
			require.Equal(t, partial, blobs == 0)
		})
	}
}

func TestHistory(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	first := s.repo.Commit("main", nil)
	second := s.repo.Make(gittest.Commit{Branch: "main", Message: "Fix \xff it\n\nBody [skip ci]\n\nSkip-Checks: true\nCo-Authored-By: B <b@example.com>\n"})
	side := s.repo.Make(gittest.Commit{Branch: "side", Onto: first})
	orphan := s.repo.Make(gittest.Commit{Branch: "orphan", Root: true})

	base, err := s.MergeBase(t.Context(), web(), second, side)
	require.NoError(t, err)
	require.Equal(t, first, base)
	base, err = s.MergeBase(t.Context(), web(), second, orphan)
	require.NoError(t, err)
	require.Empty(t, base)
	for _, test := range []struct {
		ancestor, of string
		yes          bool
	}{{first, second, true}, {second, first, false}, {side, second, false}, {first, first, true}} {
		yes, err := s.IsAncestor(t.Context(), web(), test.ancestor, test.of)
		require.NoError(t, err)
		require.Equal(t, test.yes, yes)
	}
	commit, err := s.Commit(t.Context(), web(), second)
	require.NoError(t, err)
	require.Equal(t, "Fix \uFFFD it", commit.Subject)
	require.Contains(t, commit.Message, "Body [skip ci]")
	require.Equal(t, []mirror.Trailer{{Key: "Skip-Checks", Value: "true"}, {Key: "Co-Authored-By", Value: "B <b@example.com>"}}, commit.Trailers)
	require.Equal(t, "Ada Löve", commit.AuthorName)
	require.Equal(t, "ada@example.com", commit.AuthorEmail)
	require.Equal(t, second, commit.ID)
	require.False(t, commit.AuthorDate.IsZero())
	tagged, err := s.Commit(t.Context(), web(), s.repo.AnnotatedTag("v1", second, "Version 1"))
	require.NoError(t, err)
	require.Equal(t, commit, tagged)
}

func TestSHA256(t *testing.T) {
	t.Parallel()
	s := newSite(t, "--object-format=sha256")
	first := s.repo.Commit("main", map[string]string{"a": "1\n"})
	second := s.repo.Commit("main", map[string]string{"b": "1\n"})
	require.Len(t, first, 64)
	require.Equal(t, []string{"b"}, s.changed(t, first, second))
	require.Equal(t, []string{"a", "b"}, s.changed(t, "", second))
}

func TestSSH(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	server := s.host.SSH()
	known := atomic.Pointer[string]{}
	pinned := server.KnownHosts()
	known.Store(&pinned)
	s.open(t, func(c *mirror.Config) {
		c.Remote = func(context.Context, mirror.Repository) (gitauth.Remote, error) {
			return gitauth.Remote{URL: server.URL(s.repo), PrivateKey: string(server.Key()), KnownHosts: *known.Load()}, nil
		}
	})
	first := s.repo.Commit("main", map[string]string{"a": "1\n"})
	second := s.repo.Commit("main", map[string]string{"b": "1\n"})
	refs, err := s.Refs(t.Context(), web())
	require.NoError(t, err)
	require.Len(t, refs.All, 1)
	require.Equal(t, []string{"b"}, s.changed(t, first, second))
	require.Zero(t, s.server.Total())

	other := strings.Replace(pinned, "AAAAC3NzaC1lZDI1NTE5AAAAI", "AAAAC3NzaC1lZDI1NTE5AAAAIB", 1)[:len(pinned)-1] + "\n"
	known.Store(&other)
	_, err = s.Refs(t.Context(), web())
	require.ErrorContains(t, err, "known_hosts of the connection")
}

// What a remote does not have is unknown; what it does not tell now is an error.
func TestWhatTheRemoteDoesNotTell(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	first := s.repo.Commit("main", nil)
	changes, err := s.ChangedFiles(t.Context(), web(), strings.Repeat("1", 40), first)
	require.NoError(t, err)
	require.Contains(t, changes.Unknown, "does not have the commit, or no longer: 1111")
	_, err = s.Commit(t.Context(), web(), strings.Repeat("2", 40))
	require.ErrorIs(t, err, mirror.ErrNoCommit)
	_, err = s.Commit(t.Context(), web(), "--upload-pack=touch")
	require.ErrorContains(t, err, "not the id of a commit")

	second := s.repo.Commit("main", nil)
	s.server.Refuse(http.StatusServiceUnavailable)
	_, err = s.ChangedFiles(t.Context(), web(), first, second)
	var remote *mirror.RemoteError
	require.ErrorAs(t, err, &remote)
	require.Equal(t, "acme/web", remote.Repository)
	require.Contains(t, err.Error(), "503")
	s.server.Refuse(0)
	s.server.Revoke("x-access-token")
	_, err = s.Refs(t.Context(), web())
	require.ErrorAs(t, err, &remote)
	require.Contains(t, err.Error(), "check the credentials of the connection")
	require.NotContains(t, err.Error(), token)
	s.server.Allow("x-access-token", token)
	require.Equal(t, []string{"file"}, s.changed(t, first, second))
}

func TestTooManyPaths(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	head := s.repo.Fill("main", 100_001)
	changes, err := s.ChangedFiles(t.Context(), web(), "", head)
	require.NoError(t, err)
	require.Equal(t, "more than 100000 files differ", changes.Unknown)
	require.Empty(t, changes.Paths)
}

// Fetches are incremental, and calls at the same time share them.
func TestFetchesAreShared(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	first := s.repo.Commit("main", nil)
	second := s.repo.Commit("main", nil)
	s.server.Slow(100 * time.Millisecond)
	var group sync.WaitGroup
	for range 20 {
		group.Go(func() { require.Equal(t, []string{"file"}, s.changed(t, first, second)) })
	}
	group.Wait()
	require.LessOrEqual(t, s.server.Requests()["refs git-upload-pack"], 2)
	before := s.server.Total()
	s.changed(t, first, second)
	require.Equal(t, before, s.server.Total(), "what the mirror has is not fetched")
}

// A fetch goes on without its caller, and the next caller gets its result.
func TestFetchOutlivesItsCaller(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	head := s.repo.Commit("main", nil)
	s.server.Slow(300 * time.Millisecond)
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	_, err := s.Commit(ctx, web(), head)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.Eventually(t, func() bool { return s.server.Total() > 0 }, patience, time.Millisecond)
	_, err = s.Commit(t.Context(), web(), head)
	require.NoError(t, err)
	// The first request of each fetch is the one that asks for credentials.
	require.Equal(t, 2, s.server.Requests()["refs git-upload-pack"])
}

// Close kills git in the middle of a fetch.
func TestCloseEndsFetches(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	head := s.repo.Commit("main", nil)
	s.server.Slow(time.Hour)
	failed := make(chan error, 1)
	go func() {
		_, err := s.Commit(context.Background(), web(), head)
		failed <- err
	}()
	require.Eventually(t, func() bool { return s.server.Total() > 0 }, patience, time.Millisecond)
	require.NoError(t, s.Close())
	require.Error(t, <-failed)
	_, err := s.Refs(t.Context(), web())
	require.ErrorIs(t, err, mirror.ErrClosed)
}

// A server that accepts a fetch and sends nothing fails it, and says so.
func TestSilentServer(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.open(t, func(c *mirror.Config) { c.Silence = time.Second })
	head := s.repo.Commit("main", nil)
	s.server.Slow(time.Hour)
	_, err := s.Commit(t.Context(), web(), head)
	require.EqualError(t, err, "cannot read the repository acme/web: git made no progress for 1s: the server sent nothing; check that the host answers and that the server can reach it")
	var remote *mirror.RemoteError
	require.ErrorAs(t, err, &remote)
	// On a busy machine git itself may need a second.
	s.open(t, nil)
	s.server.Slow(0)
	commit, err := s.Commit(t.Context(), web(), head)
	require.NoError(t, err)
	require.Equal(t, head, commit.ID)
}

func TestSecondProcessIsLockedOut(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	_, err := mirror.Open(mirror.Config{Dir: s.dir})
	require.ErrorContains(t, err, "another process uses it")
}

// gitDirs are the bare repositories below the directory of mirrors.
func (s *site) gitDirs(t *testing.T) []string {
	t.Helper()
	dirs, err := filepath.Glob(filepath.Join(s.dir, "*", "git"))
	require.NoError(t, err)
	return dirs
}

// each calls a function for the files of a pattern, of which there is at least one.
func each(pattern string, f func(string) error) error {
	files, err := filepath.Glob(pattern)
	if err == nil && len(files) == 0 {
		err = fs.ErrNotExist
	}
	for _, file := range files {
		err = errors.Join(err, f(file))
	}
	return err
}

// A mirror that is damaged in any way is made anew.
func TestDamagedMirrors(t *testing.T) {
	t.Parallel()
	for name, damage := range map[string]func(git string) error{
		"pack": func(git string) error {
			return each(filepath.Join(git, "objects/pack/*.pack"), func(pack string) error {
				return errors.Join(os.Remove(pack), os.WriteFile(pack, []byte("PACK what is this"), 0o600))
			})
		},
		"index":   func(git string) error { return each(filepath.Join(git, "objects/pack/*.idx"), os.Remove) },
		"HEAD":    func(git string) error { return os.WriteFile(filepath.Join(git, "HEAD"), nil, 0o600) },
		"config":  func(git string) error { return os.WriteFile(filepath.Join(git, "config"), []byte("[["), 0o600) },
		"objects": func(git string) error { return os.RemoveAll(filepath.Join(git, "objects")) },
		"locks": func(git string) error {
			return errors.Join(
				os.WriteFile(filepath.Join(git, "objects/pack/tmp_pack_1"), make([]byte, 100), 0o600),
				filepath.WalkDir(git, func(path string, entry fs.DirEntry, err error) error {
					if err == nil && !entry.IsDir() {
						err = os.WriteFile(path+".lock", nil, 0o600)
					}
					return err
				}))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t)
			first := s.repo.Commit("main", nil)
			second := s.repo.Commit("main", nil)
			s.changed(t, first, second)
			require.NoError(t, s.Close())
			require.NoError(t, damage(s.gitDirs(t)[0]))
			s.open(t, nil)
			require.Equal(t, []string{"file"}, s.changed(t, first, second))
			third := s.repo.Commit("main", map[string]string{"new": "1\n"})
			require.Equal(t, []string{"new"}, s.changed(t, second, third))
			left, err := filepath.Glob(filepath.Join(s.gitDirs(t)[0], "objects/pack/tmp_*"))
			require.NoError(t, err)
			require.Empty(t, left)
		})
	}
}

// A person who needs space may empty the directory under a running server.
func TestMirrorsThatAreRemovedWhileInUse(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	first := s.repo.Commit("main", nil)
	second := s.repo.Commit("main", nil)
	s.changed(t, first, second)
	entries, err := os.ReadDir(s.dir)
	require.NoError(t, err)
	for _, entry := range entries {
		require.NoError(t, os.RemoveAll(filepath.Join(s.dir, entry.Name())))
	}
	third := s.repo.Commit("main", map[string]string{"new": "1\n"})
	require.Equal(t, []string{"new"}, s.changed(t, second, third))
}

// What was fetched is not lost when the remote is gone for some time.
func TestRemoteThatIsGone(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	first := s.repo.Commit("main", nil)
	second := s.repo.Commit("main", nil)
	s.changed(t, first, second)
	third := s.repo.Commit("main", nil)
	s.host.Rename(s.repo, "acme/moved")
	_, err := s.ChangedFiles(t.Context(), web(), second, third)
	require.ErrorContains(t, err, "check the name of the repository")
	asked := s.server.Total()
	s.changed(t, first, second)
	require.Equal(t, asked, s.server.Total())
	moved := web()
	moved.Name = "acme/moved"
	changes, err := s.ChangedFiles(t.Context(), moved, second, third)
	require.NoError(t, err)
	require.Equal(t, []string{"file"}, texts(changes.Paths))
	require.Len(t, s.gitDirs(t), 1)
}

// No account reads another's mirror, also if all names are the same, and no name is a path.
func TestMirrorsAreApart(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	allowed := atomic.Bool{}
	allowed.Store(true)
	s.open(t, func(c *mirror.Config) {
		remote := c.Remote
		c.Remote = func(ctx context.Context, r mirror.Repository) (gitauth.Remote, error) {
			if r.Account != "default" {
				return gitauth.Remote{URL: s.server.Base() + "/acme/web.git", Username: "eve", Password: "wrong"}, nil
			}
			return remote(ctx, r)
		}
	})
	head := s.repo.Commit("main", nil)
	_, err := s.Commit(t.Context(), web(), head)
	require.NoError(t, err)
	for _, other := range []mirror.Repository{
		{Account: "other", ID: "r1", Connection: "github", Name: "acme/web"},
		{Account: "default/../default", ID: "r1", Connection: "github", Name: "acme/web"},
		{Account: "defaultr", ID: "1", Connection: "github", Name: "acme/web"},
	} {
		_, err := s.Commit(t.Context(), other, head)
		require.Error(t, err)
	}
	_, err = s.Commit(t.Context(), mirror.Repository{Account: "default", ID: "../../../evil", Name: "acme/web"}, head)
	require.NoError(t, err)
	entries, err := os.ReadDir(s.dir)
	require.NoError(t, err)
	for _, entry := range entries {
		require.Regexp(t, `^([0-9a-f]{40}|lock|scratch)$`, entry.Name())
	}
	siblings, err := os.ReadDir(filepath.Dir(s.dir))
	require.NoError(t, err)
	require.Len(t, siblings, 1)
}

// Nothing on the disk has the credential, neither during a fetch nor after it, except for
// the files that gitauth makes, which are removed. No process has it in its arguments.
func TestNoCredentialIsKept(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	first := s.repo.Commit("main", nil)
	second := s.repo.Commit("main", nil)
	s.server.Slow(200 * time.Millisecond)
	done := make(chan error, 1)
	go func() {
		_, err := s.ChangedFiles(context.Background(), web(), first, second)
		done <- err
	}()
	for running := true; running; {
		select {
		case err := <-done:
			require.NoError(t, err)
			running = false
		default:
		}
		processes, err := filepath.Glob("/proc/[0-9]*/cmdline")
		require.NoError(t, err)
		for _, process := range processes {
			// A process may have ended.
			line, _ := os.ReadFile(process)
			require.NotContains(t, string(line), token)
		}
	}
	require.NoError(t, filepath.WalkDir(s.dir, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.Type().IsRegular() {
			data, err := os.ReadFile(path)
			require.NoError(t, err)
			require.NotContains(t, string(data), token, path)
		}
		return err
	}))
	left, err := os.ReadDir(filepath.Join(s.dir, "scratch"))
	require.NoError(t, err)
	require.Empty(t, left)
}

func TestLimit(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	first := s.repo.Fill("main", 2000)
	other := mirror.Repository{Account: "default", ID: "r2", Connection: "github", Name: "acme/api"}
	api := s.host.Repository("acme/api").Commit("main", nil)
	_, err := s.Commit(t.Context(), web(), first)
	require.NoError(t, err)
	later := s.now.Load().Add(time.Hour)
	s.now.Store(&later)
	_, err = s.Commit(t.Context(), other, api)
	require.NoError(t, err)
	require.NoError(t, s.Tidy())
	require.Len(t, s.gitDirs(t), 2)
	sizes := make(map[string]int64)
	for _, dir := range s.gitDirs(t) {
		require.NoError(t, filepath.WalkDir(dir, func(_ string, entry fs.DirEntry, err error) error {
			if err == nil && entry.Type().IsRegular() {
				info, err := entry.Info()
				require.NoError(t, err)
				sizes[dir] += info.Size()
			}
			return err
		}))
	}
	var small, large int64 = 1 << 40, 0
	for _, size := range sizes {
		small, large = min(small, size), max(large, size)
	}
	require.Greater(t, large, 4*small)

	// The one that was not used for the longest time is removed, and fetched again when needed.
	s.open(t, func(c *mirror.Config) { c.Limit = large + small/2 })
	require.NoError(t, s.Tidy())
	require.Len(t, s.gitDirs(t), 1)
	before := s.server.Total()
	_, err = s.Commit(t.Context(), other, api)
	require.NoError(t, err)
	require.Equal(t, before, s.server.Total())

	// One that is larger than the limit alone is given up.
	s.open(t, func(c *mirror.Config) { c.Limit = small / 2 })
	require.NoError(t, s.Tidy())
	require.Empty(t, s.gitDirs(t))

	s.open(t, nil)
	_, err = s.Commit(t.Context(), web(), first)
	require.NoError(t, err)
	// A fetch uses its mirror for a moment after the answer, and a mirror in use is not removed.
	s.open(t, nil)
	month := later.Add(31 * 24 * time.Hour)
	s.now.Store(&month)
	require.NoError(t, s.Tidy())
	require.Empty(t, s.gitDirs(t))
	_, err = s.Commit(t.Context(), web(), first)
	require.NoError(t, err)
}

// Many fetches do not leave many packs.
func TestPacks(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	var commits []string
	for range 60 {
		commits = append(commits, s.repo.Commit("main", nil))
		_, err := s.Commit(t.Context(), web(), commits[len(commits)-1])
		require.NoError(t, err)
	}
	require.Eventually(t, func() bool {
		packs, err := filepath.Glob(filepath.Join(s.gitDirs(t)[0], "objects/pack/*.pack"))
		require.NoError(t, err)
		return len(packs) < 20
	}, patience, 10*time.Millisecond)
	require.Equal(t, []string{"file"}, s.changed(t, commits[0], commits[59]))
}

func TestWhatIsNewSinceARelease(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	first := s.repo.Commit("main", nil)
	second := s.repo.Make(gittest.Commit{Branch: "main", Message: "two"})
	third := s.repo.Make(gittest.Commit{Branch: "main", Message: "three"})
	side := s.repo.Make(gittest.Commit{Branch: "side", Onto: first})
	require.False(t, s.Has(web()), "nothing was asked before")
	for _, test := range []struct {
		released, head string
		want           mirror.History
	}{
		{first, third, mirror.History{Relation: mirror.Newer, Commits: 2, Authors: []string{"Ada Löve"}}},
		{third, third, mirror.History{Relation: mirror.Same}},
		{second, first, mirror.History{Relation: mirror.Older}},
		{third, side, mirror.History{Relation: mirror.Diverged, Commits: 1, Authors: []string{"Ada Löve"}}},
	} {
		found, err := s.Since(t.Context(), web(), test.released, test.head)
		require.NoError(t, err)
		require.Equal(t, test.want, found)
	}
	require.True(t, s.Has(web()))
	_, err := s.Since(t.Context(), web(), first, "--output=/tmp/x")
	require.Error(t, err)
}
