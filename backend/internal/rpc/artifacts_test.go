package rpc_test

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	"github.com/headrace/terraform-provider-headrace/backend/backendtest"
	"github.com/headrace/terraform-provider-headrace/backend/client"
	v1 "github.com/headrace/terraform-provider-headrace/backend/gen/headrace/v1"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

// download returns what a request gets, and what it is.
func download(t *testing.T, c *client.Client, request *v1.GetArtifactRequest) (string, *v1.ArtifactContent, error) {
	t.Helper()
	stream, err := c.Executions.GetArtifact(t.Context(), request)
	require.NoError(t, err)
	var text strings.Builder
	var content *v1.ArtifactContent
	for {
		resp, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return text.String(), content, nil
		}
		if err != nil {
			return text.String(), content, err
		}
		require.Equal(t, content == nil, resp.GetContent() != nil, "only the first message says what it is")
		if content == nil {
			content = resp.GetContent()
		}
		require.LessOrEqual(t, proto.Size(resp), 32<<10)
		require.Equal(t, request.GetOffset()+int64(text.Len()), resp.GetOffset())
		text.Write(resp.GetData())
	}
}

func TestArtifacts(t *testing.T) {
	t.Parallel()
	b := backendtest.Start(t)
	c := b.Admin()
	p := release(t, "mkdir sub; for i in $(seq 30); do echo $i >sub/$i; done", "head -c 500000 /dev/urandom >large", `touch "$(printf 'odd\377')"`)
	p.Definition.Stages[1].Actions[0].OutputArtifacts = []*v1.OutputArtifact{{Name: "made"}}
	create(t, c, p)
	e := start(t, c, "web")
	watch(t, c, e.GetName(), func(event *v1.Event) bool { return event.GetAction() == "Sign" })

	list, err := c.Executions.ListArtifacts(t.Context(), &v1.ListArtifactsRequest{Parent: e.GetName()})
	require.NoError(t, err)
	require.Len(t, list.GetArtifacts(), 2)
	made := list.GetArtifacts()[1]
	require.Equal(t, "Build", made.GetStage())
	require.Equal(t, "Compile", made.GetAction())

	var files []*v1.ArtifactFile
	request := &v1.ListArtifactFilesRequest{Name: e.GetName(), Artifact: "made", PageSize: 7}
	for {
		page, err := c.Executions.ListArtifactFiles(t.Context(), request)
		require.NoError(t, err)
		require.EqualValues(t, 34, page.GetFileCount())
		require.True(t, proto.Equal(made.GetArtifact(), page.GetArtifact()))
		require.LessOrEqual(t, len(page.GetFiles()), 7)
		files = append(files, page.GetFiles()...)
		if request.PageToken = page.GetNextPageToken(); request.PageToken == "" {
			break
		}
	}
	require.Len(t, files, 34)

	whole, content, err := download(t, c, &v1.GetArtifactRequest{Name: e.GetName(), Artifact: "made"})
	require.NoError(t, err)
	require.Equal(t, made.GetArtifact().GetDigest(), hexDigest(whole))
	require.EqualValues(t, len(whole), content.GetSizeBytes())
	for _, file := range files {
		if file.GetDirectory() {
			continue
		}
		one := &v1.GetArtifactRequest{Name: e.GetName(), Artifact: "made", Path: file.GetPath()}
		if len(file.GetRawPath()) > 0 {
			require.Equal(t, "odd\xff", string(file.GetRawPath()))
			require.Equal(t, "odd\ufffd", file.GetPath())
			one.Path, one.RawPath = "", file.GetRawPath()
		}
		text, content, err := download(t, c, one)
		require.NoError(t, err)
		require.Equal(t, file.GetDigest(), hexDigest(text))
		require.True(t, proto.Equal(file, content.GetFile()))
		if file.GetPath() != "large" {
			continue
		}
		for _, part := range [][2]int64{{0, 1}, {1, 499_999}, {262_144, 100}, {262_143, 2}, {499_999, 100}, {500_000, 100}, {900_000, 100}} {
			one.Offset, one.MaxBytes = part[0], part[1]
			if part[0] > 500_000 {
				one.Offset = 500_000
			}
			got, _, err := download(t, c, one)
			require.NoError(t, err)
			require.Equal(t, text[min(part[0], 500_000):min(part[0]+part[1], 500_000)], got)
		}
	}
	for name, request := range map[string]*v1.GetArtifactRequest{
		"a directory":     {Path: "sub"},
		"two paths":       {Path: "sub/1", RawPath: []byte("sub/1")},
		"below zero":      {Offset: -1},
		"a very long one": {Path: strings.Repeat("x", 5000)},
	} {
		request.Name, request.Artifact = e.GetName(), "made"
		_, _, err := download(t, c, request)
		refused(t, err, codes.InvalidArgument, "")
		require.Error(t, err, name)
	}
	_, _, err = download(t, c, &v1.GetArtifactRequest{Name: e.GetName(), Artifact: "made", Path: "../made"})
	refused(t, err, codes.NotFound, pipeline.ReasonNotFound)
	_, err = c.Executions.ListArtifactFiles(t.Context(), &v1.ListArtifactFilesRequest{Name: e.GetName(), Artifact: "made", PageToken: "eA"})
	refused(t, err, codes.InvalidArgument, "")
}

func hexDigest(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}
