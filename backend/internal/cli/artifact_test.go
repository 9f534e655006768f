package cli_test

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/headrace/terraform-provider-headrace/backend/backendtest"
	"github.com/headrace/terraform-provider-headrace/backend/client"
	headracev1 "github.com/headrace/terraform-provider-headrace/backend/gen/headrace/v1"
	"github.com/headrace/terraform-provider-headrace/backend/internal/cli"
)

// madeArtifact runs a pipeline whose action made has an artifact of all kinds of files.
func madeArtifact(t *testing.T, b *backendtest.Backend) {
	t.Helper()
	declare(t, b)
	got, err := b.Admin().Pipelines.GetPipeline(t.Context(), &headracev1.GetPipelineRequest{Name: client.PipelineName("default", "web")})
	require.NoError(t, err)
	p := got.GetPipeline()
	build := p.GetDefinition().GetStages()[1].GetActions()[0]
	build.Commands = []string{
		`mkdir -p bin empty; printf '#!/bin/sh\n' >bin/web; chmod 755 bin/web`,
		`head -c 3000000 /dev/zero | tr '\000' z >large; ln -s bin/web inside; ln -s /etc/passwd outside; ln -s ../.. above`,
		`echo odd >"$(printf 'odd\377')"; rm greeting`,
	}
	p.Definition.Stages = p.GetDefinition().GetStages()[:2]
	_, err = b.Admin().Pipelines.UpdatePipeline(t.Context(), &headracev1.UpdatePipelineRequest{Pipeline: p})
	require.NoError(t, err)
	ran := headrace(t, b, b.AdminToken, "run", "web", "--follow")
	require.Equal(t, cli.ExitOK, ran.code, "%s%s", ran.stdout, ran.stderr)
}

func TestArtifact(t *testing.T) {
	t.Parallel()
	b := backendtest.Start(t)
	madeArtifact(t, b)
	viewer := b.Token("vera", nil, backendtest.Binding("default", headracev1.Role_ROLE_VIEWER))
	ask := func(args ...string) result { return headrace(t, b, viewer, append([]string{"artifact"}, args...)...) }
	listed := ask("list", "web")
	require.Equal(t, cli.ExitOK, listed.code, listed.stderr)
	require.Regexp(t, `(?m)^program +Build/Compile +[0-9]+ +[0-9a-f]{64}$`, listed.stdout)
	require.Regexp(t, `(?m)^source +Source/Checkout `, listed.stdout)
	files := ask("list", "web#1", "program")
	require.Equal(t, cli.ExitOK, files.code, files.stderr)
	for _, line := range []string{
		`-rwxr-xr-x +10 +.* bin/web`, `drwx.* bin/`, `drwx.* empty/`, `Lrwx.* inside -> bin/web`, `.* 3000000 +.* large`, `.* odd\x{FFFD}`,
	} {
		require.Regexp(t, "(?m)^"+line+"$", files.stdout)
	}
	var asJSON struct {
		FileCount string
		Files     []struct{ Path, Digest, SizeBytes string }
	}
	require.NoError(t, json.Unmarshal([]byte(ask("list", "web#1", "program", "-o", "json").stdout), &asJSON))
	require.Equal(t, "8", asJSON.FileCount)

	// All of it.
	dir := t.TempDir()
	into := filepath.Join(dir, "program")
	got := ask("get", "web", "program", "-o", into)
	require.Equal(t, cli.ExitOK, got.code, got.stderr)
	require.Contains(t, got.stderr, "left out the symlink outside, which leads out of the artifact, to /etc/passwd")
	require.Contains(t, got.stderr, "left out the symlink above")
	info, err := os.Stat(filepath.Join(into, "inside"))
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o755), info.Mode())
	large, err := os.ReadFile(filepath.Join(into, "large"))
	require.NoError(t, err)
	require.Equal(t, strings.Repeat("z", 3_000_000), string(large))
	for _, gone := range []string{"outside", "above"} {
		require.NoFileExists(t, filepath.Join(into, gone))
	}
	require.FileExists(t, filepath.Join(into, "odd\xff"))

	// Nothing is replaced without the flag.
	require.NoError(t, os.WriteFile(filepath.Join(into, "large"), []byte("mine"), 0o600))
	require.NoError(t, os.Remove(filepath.Join(into, "bin", "web")))
	elsewhere := filepath.Join(dir, "elsewhere")
	require.NoError(t, os.WriteFile(elsewhere, []byte("mine"), 0o600))
	require.NoError(t, os.Symlink(elsewhere, filepath.Join(into, "bin", "web")))
	again := ask("get", "web", "program", "-o", into)
	require.Equal(t, cli.ExitFailed, again.code)
	require.Contains(t, again.stderr, "is not empty: use --overwrite")
	again = ask("get", "web", "program", "-o", into, "--overwrite")
	require.Equal(t, cli.ExitOK, again.code, again.stderr)
	large, err = os.ReadFile(filepath.Join(into, "large"))
	require.NoError(t, err)
	require.Len(t, large, 3_000_000)
	kept, err := os.ReadFile(elsewhere)
	require.NoError(t, err)
	require.Equal(t, "mine", string(kept), "a symlink is replaced, not written through")
	require.NoError(t, os.RemoveAll(filepath.Join(into, "bin")))
	require.NoError(t, os.Mkdir(filepath.Join(dir, "other"), 0o700))
	require.NoError(t, os.Symlink(filepath.Join(dir, "other"), filepath.Join(into, "bin")))
	again = ask("get", "web", "program", "-o", into, "--overwrite")
	require.Equal(t, cli.ExitFailed, again.code)
	require.Contains(t, again.stderr, "not a directory")
	require.NoFileExists(t, filepath.Join(dir, "other", "web"))

	// One file, and a tar.
	require.Equal(t, "#!/bin/sh\n", ask("get", "web", "program", "bin/web").stdout)
	one := ask("get", "web", "program", "bin/web", "-o", dir)
	require.Equal(t, cli.ExitOK, one.code, one.stderr)
	info, err = os.Stat(filepath.Join(dir, "web"))
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o755), info.Mode())
	one = ask("get", "web", "program", "large", "-o", filepath.Join(dir, "web"))
	require.Contains(t, one.stderr, "exists: use --overwrite")
	one = ask("get", "web", "program", "large", "-o", filepath.Join(dir, "web"), "--overwrite")
	require.Equal(t, cli.ExitOK, one.code, one.stderr)
	info, err = os.Stat(filepath.Join(dir, "web"))
	require.NoError(t, err)
	require.EqualValues(t, 3_000_000, info.Size())
	packed := ask("get", "web", "program", "--tar").stdout
	require.Contains(t, listed.stdout, digestOf(packed))
	_, err = tar.NewReader(strings.NewReader(packed)).Next()
	require.NoError(t, err)

	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	for _, entry := range entries {
		require.False(t, strings.HasPrefix(entry.Name(), ".headrace"), "nothing unfinished is left")
	}

	for name, test := range map[string]struct {
		args []string
		code int
		want string
	}{
		"no such artifact":     {[]string{"get", "web", "nope"}, cli.ExitFailed, "its artifacts are source, program"},
		"no such file":         {[]string{"get", "web", "program", "bin/nope"}, cli.ExitFailed, `no such file: "bin/nope"`},
		"a directory":          {[]string{"get", "web", "program", "bin"}, cli.ExitFailed, "is a directory"},
		"a symlink":            {[]string{"get", "web", "program", "outside"}, cli.ExitFailed, `is a symlink to "/etc/passwd"`},
		"a path that leads up": {[]string{"get", "web", "program", "../../etc/passwd"}, cli.ExitFailed, "no such file"},
		"tar of a file":        {[]string{"get", "web", "program", "large", "--tar"}, cli.ExitUsage, "--tar"},
		"list of nothing":      {[]string{"list", "web", "nope"}, cli.ExitFailed, "no artifact"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := ask(test.args...)
			require.Equal(t, test.code, got.code, got.stderr)
			require.Contains(t, got.stderr, test.want)
		})
	}
}

func digestOf(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

// Nothing of an artifact that is damaged in the storage is kept, before or after the server has
// verified it once.
func TestDamagedArtifact(t *testing.T) {
	t.Parallel()
	for name, before := range map[string]bool{"damaged before": true, "damaged after": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := backendtest.Start(t)
			madeArtifact(t, b)
			if !before {
				got := headrace(t, b, b.AdminToken, "artifact", "list", "web", "program")
				require.Equal(t, cli.ExitOK, got.code, got.stderr)
			}
			found, err := b.Admin().Executions.ListArtifacts(t.Context(), &headracev1.ListArtifactsRequest{
				Parent: client.ExecutionName("default", "web", latest(t, b)),
			})
			require.NoError(t, err)
			digest := ""
			for _, made := range found.GetArtifacts() {
				if made.GetArtifact().GetName() == "program" {
					digest = made.GetArtifact().GetDigest()
				}
			}
			path := filepath.Join(b.DataDir, "artifacts", digest[:2], digest[2:])
			text, err := os.ReadFile(path)
			require.NoError(t, err)
			require.NoError(t, os.Chmod(path, 0o600))
			text[bytes.LastIndexByte(text, 'z')-700_000] = 'y'
			require.NoError(t, os.WriteFile(path, text, 0o600))
			dir := t.TempDir()
			for _, args := range [][]string{
				{"get", "web", "program", "-o", filepath.Join(dir, "all")},
				{"get", "web", "program", "large", "-o", filepath.Join(dir, "large")},
				{"get", "web", "program", "--tar", "-o", filepath.Join(dir, "tar")},
			} {
				got := headrace(t, b, b.AdminToken, append([]string{"artifact"}, args...)...)
				require.Equal(t, cli.ExitFailed, got.code, "%v", args)
				require.Contains(t, got.stderr, "the stored artifact ")
			}
			entries, err := os.ReadDir(dir)
			require.NoError(t, err)
			require.Empty(t, entries)
			stream, err := b.Admin().Executions.GetArtifact(t.Context(), &headracev1.GetArtifactRequest{
				Name: client.ExecutionName("default", "web", latest(t, b)), Artifact: "program", Path: "large",
			})
			require.NoError(t, err)
			for err == nil {
				_, err = stream.Recv()
			}
			require.Equal(t, codes.DataLoss, status.Code(err), "%v", err)
		})
	}
}

// latest returns the id of the latest execution.
func latest(t *testing.T, b *backendtest.Backend) string {
	t.Helper()
	found, err := b.Admin().Executions.ListExecutions(t.Context(), &headracev1.ListExecutionsRequest{Parent: client.PipelineName("default", "web"), PageSize: 1})
	require.NoError(t, err)
	return found.GetExecutions()[0].GetId()
}

// lying serves an artifact that is not what its digest says, or breaks streams off.
type lying struct {
	headracev1.ExecutionServiceServer

	text, digest string
	cuts         []int64
}

func (l *lying) GetArtifact(r *headracev1.GetArtifactRequest, stream grpc.ServerStreamingServer[headracev1.GetArtifactResponse]) error {
	content := &headracev1.ArtifactContent{Artifact: &headracev1.Artifact{Name: "program", Digest: l.digest}, SizeBytes: int64(len(l.text))}
	if err := stream.Send(&headracev1.GetArtifactResponse{Content: content, Offset: r.GetOffset()}); err != nil {
		return err
	}
	rest := l.text[r.GetOffset():]
	if len(l.cuts) == 0 {
		return stream.Send(&headracev1.GetArtifactResponse{Offset: r.GetOffset(), Data: []byte(rest)})
	}
	rest, l.cuts = rest[:l.cuts[0]], l.cuts[1:]
	if err := stream.Send(&headracev1.GetArtifactResponse{Offset: r.GetOffset(), Data: []byte(rest)}); err != nil {
		return err
	}
	return status.Error(codes.Unavailable, "the server restarts")
}

// A download continues after its server was away, and what is not as its digest says is not kept.
func TestDownload(t *testing.T) {
	t.Parallel()
	const text = "not a tar, and long enough"
	f := newFake(t)
	f.executions = append(f.executions, &headracev1.Execution{Name: client.ExecutionName("default", "web", "e1"), Id: "e1", Number: 1})
	path := filepath.Join(t.TempDir(), "file")
	get := []string{"artifact", "get", "web#1", "program", "--tar", "-o", path}

	f.artifact = &lying{text: text, digest: digestOf(text), cuts: []int64{3, 5}}
	got := f.run(t, get...)
	require.Equal(t, cli.ExitOK, got.code, got.stderr)
	written, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, text, string(written))
	require.Contains(t, got.stderr, "lost headraced")

	require.NoError(t, os.Remove(path))
	f.artifact = &lying{text: text, digest: digestOf("another text")}
	got = f.run(t, get...)
	require.Equal(t, cli.ExitFailed, got.code)
	require.Contains(t, got.stderr, "the download is damaged")
	require.NoFileExists(t, path)
	got = f.runIn(context.Background(), cli.Process{Args: get[:5], OnTerminal: true})
	require.Contains(t, got.stderr, "cannot write a tar to a terminal")
}
