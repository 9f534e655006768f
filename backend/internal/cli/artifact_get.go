package cli

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/headrace/terraform-provider-headrace/backend/client"
	headracev1 "github.com/headrace/terraform-provider-headrace/backend/gen/headrace/v1"
	"github.com/headrace/terraform-provider-headrace/backend/internal/artifact/tree"
)

// getArtifact writes an artifact or a file of it to where it is wanted.
func (a *app) getArtifact(ctx context.Context, c *client.Client, get artifactGet) error {
	switch {
	case get.tar || get.request.GetPath() != "":
		if get.into != "" {
			return a.getFile(ctx, c, get)
		}
		if get.tar && a.OnTerminal {
			return errors.New("cannot write a tar to a terminal: name a file with -o, or use a pipe")
		}
		show := a.showLog()
		_, err := a.download(ctx, c, get.request, func(piece []byte) error {
			a.out.write(show(piece))
			return a.out.failure
		})
		if rest := show(nil); rest != "" && a.OnTerminal {
			a.out.write(rest)
		}
		return err
	default:
		return a.getTree(ctx, c, get)
	}
}

// getFile writes a tar or a file of an artifact to a file, which is there whole or not at all.
func (a *app) getFile(ctx context.Context, c *client.Client, get artifactGet) (err error) {
	into := get.into
	if info, err := os.Stat(into); err == nil && info.IsDir() {
		name := path.Base(get.request.GetPath())
		if get.tar {
			name = get.request.GetArtifact() + ".tar"
		}
		into = filepath.Join(into, name)
	}
	if _, err := os.Lstat(into); err == nil && !get.overwrite {
		return exists(into)
	}
	file, err := os.CreateTemp(filepath.Dir(into), ".headrace-*")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, removeIfExists(file.Name())) }()
	content, err := a.download(ctx, c, get.request, func(piece []byte) error { _, err := file.Write(piece); return err })
	if err == nil && content.GetFile() != nil {
		err = file.Chmod(fs.FileMode(content.GetFile().GetMode()) & fs.ModePerm)
	}
	if err = errors.Join(err, file.Close()); err != nil {
		return err
	}
	if get.overwrite {
		return os.Rename(file.Name(), into)
	}
	// Unlike a rename, a link replaces nothing.
	err = os.Link(file.Name(), into)
	if errors.Is(err, fs.ErrExist) {
		return exists(into)
	}
	return err
}

func exists(path string) error {
	return fmt.Errorf("%s exists: use --overwrite to replace it", path)
}

func removeIfExists(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// getTree lays the files of an artifact out in a directory, once all of them have arrived.
func (a *app) getTree(ctx context.Context, c *client.Client, get artifactGet) (err error) {
	into := get.into
	if into == "" {
		into = get.request.GetArtifact()
		if filepath.Base(into) != into || !filepath.IsLocal(into) || into == "." {
			return usagef("the name of the artifact is not a valid directory name: name a directory with -o")
		}
	}
	if entries, err := os.ReadDir(into); err == nil && len(entries) > 0 && !get.overwrite {
		return fmt.Errorf("%s is not empty: use --overwrite to replace files in it, or another directory", into)
	}
	spool, err := os.CreateTemp("", "headrace-artifact-*")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, spool.Close(), os.Remove(spool.Name())) }()
	if _, err := a.download(ctx, c, get.request, func(piece []byte) error { _, err := spool.Write(piece); return err }); err != nil {
		return err
	}
	if _, err := spool.Seek(0, io.SeekStart); err != nil {
		return err
	}
	if err := os.MkdirAll(into, 0o750); err != nil {
		return err
	}
	root, err := os.OpenRoot(into)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, root.Close()) }()
	return tree.Unpack(ctx, spool, root, tree.Options{Overwrite: get.overwrite, SkipLink: func(name, target string) {
		a.err.linef("headrace: left out the symlink %s, which leads out of the artifact, to %s", harmless(name), harmless(target))
	}})
}

// download gives each piece of an artifact or a file of it. A lost server is asked again from where
// the stream broke off. It returns an error if what came is not what the artifact's digest says.
func (a *app) download(
	ctx context.Context, c *client.Client, request *headracev1.GetArtifactRequest, give func(piece []byte) error,
) (*headracev1.ArtifactContent, error) {
	d := &download{request: request, give: give, hash: sha256.New()}
	for try := 1; ; try++ {
		before := request.GetOffset()
		err := d.once(ctx, c)
		if err == nil {
			return d.content, d.verify()
		}
		if status.Code(err) != codes.Unavailable || ctx.Err() != nil {
			return nil, err
		}
		if request.GetOffset() != before {
			try = 1
		}
		if try > maxTries {
			return nil, err
		}
		wait := a.Backoff(try)
		a.err.linef("headrace: lost headraced at %s; trying again in %s (%d of %d)", c.Endpoint, wait, try, maxTries)
		if err := sleep(ctx, wait); err != nil {
			return nil, err
		}
	}
}

// download is a download that is under way.
type download struct {
	request *headracev1.GetArtifactRequest
	give    func(piece []byte) error
	hash    hash.Hash
	// content is set by the first message of the first stream.
	content *headracev1.ArtifactContent
}

// once reads one stream, and leaves the request at what comes after it.
func (d *download) once(ctx context.Context, c *client.Client) error {
	stream, err := c.Executions.GetArtifact(ctx, d.request)
	if err != nil {
		return err
	}
	for {
		piece, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if d.content == nil {
			d.content = piece.GetContent()
			// A retry must not continue with another artifact.
			d.request.Digest = d.content.GetArtifact().GetDigest()
		}
		if piece.GetOffset() != d.request.GetOffset() {
			return fmt.Errorf("the server sent data from offset %d instead of %d", piece.GetOffset(), d.request.GetOffset())
		}
		// A hash never fails.
		_, _ = d.hash.Write(piece.GetData())
		if err := d.give(piece.GetData()); err != nil {
			return err
		}
		d.request.Offset += int64(len(piece.GetData()))
	}
}

// verify returns an error if what came is not what it should be.
func (d *download) verify() error {
	digest := d.content.GetArtifact().GetDigest()
	if d.content.GetFile() != nil {
		// Empty for files that the server does not list. It verified them by itself.
		digest = d.content.GetFile().GetDigest()
	}
	found := hex.EncodeToString(d.hash.Sum(nil))
	if d.request.GetOffset() != d.content.GetSizeBytes() || digest != "" && digest != found {
		return fmt.Errorf("the download is damaged: received %d of %d bytes, with digest %s; try again", d.request.GetOffset(), d.content.GetSizeBytes(), found)
	}
	return nil
}
