package rpc

import (
	"context"
	"io/fs"
	"strconv"
	"strings"
	"unicode/utf8"

	"google.golang.org/grpc"

	headracev1 "github.com/headrace/terraform-provider-headrace/backend/gen/headrace/v1"
	"github.com/headrace/terraform-provider-headrace/backend/internal/artifact"
	"github.com/headrace/terraform-provider-headrace/backend/internal/service"
)

// defaultFilesPage is how many files of an artifact a page has.
const defaultFilesPage = 1000

// ListArtifacts implements ExecutionService.
func (s *executions) ListArtifacts(ctx context.Context, req *headracev1.ListArtifactsRequest) (*headracev1.ListArtifactsResponse, error) {
	name, err := s.find(ctx, req.GetParent())
	if err != nil {
		return nil, err
	}
	found, err := s.artifacts.List(ctx, caller(ctx), name.Account, name.ID)
	if err != nil {
		return nil, err
	}
	return &headracev1.ListArtifactsResponse{Artifacts: each(found, executionArtifactToProto)}, nil
}

func executionArtifactToProto(a service.ExecutionArtifact) *headracev1.ExecutionArtifact {
	p := &headracev1.ExecutionArtifact{Artifact: artifactToProto(a.Artifact)}
	if a.Action != nil {
		p.Stage, p.Action, p.ActionExecutionId, p.Retried = a.Stage, a.Action.Name, a.Action.ID, a.Action.Retried
	}
	return p
}

// ListArtifactFiles implements ExecutionService.
func (s *executions) ListArtifactFiles(
	ctx context.Context, req *headracev1.ListArtifactFilesRequest,
) (*headracev1.ListArtifactFilesResponse, error) {
	name, err := s.find(ctx, req.GetName())
	if err != nil {
		return nil, err
	}
	of := service.ArtifactName{ExecutionID: name.ID, Name: req.GetArtifact(), Digest: req.GetDigest()}
	first := 0
	if req.GetPageToken() != "" {
		// All pages are of one artifact, also if a retry made another one in between.
		if of.Digest, first, err = filesPage(req.GetPageToken()); err != nil {
			return nil, err
		}
	}
	opened, found, err := s.artifacts.Open(ctx, caller(ctx), name.Account, of)
	if err != nil {
		return nil, err
	}
	files, all := opened.Files()
	resp := &headracev1.ListArtifactFilesResponse{
		Artifact: artifactToProto(found), FileCount: int64(all), UnlistedCount: int64(all - len(files)),
	}
	files = files[min(first, len(files)):]
	if size := pageSize(req.GetPageSize(), defaultFilesPage); len(files) > size {
		files = files[:size]
		resp.NextPageToken = pageToken(found.Digest + "/" + strconv.Itoa(first+size))
	}
	resp.Files = each(files, artifactFileToProto)
	return resp, nil
}

// filesPage reads the token of a page of files.
func filesPage(token string) (digest string, first int, err error) {
	key, err := pageKey(token)
	if err != nil {
		return "", 0, err
	}
	digest, text, _ := strings.Cut(key, "/")
	if first, err = strconv.Atoi(text); err != nil || first < 0 {
		return "", 0, invalidField("invalid page token: pass next_page_token back unchanged", "page_token")
	}
	return digest, first, nil
}

func artifactFileToProto(f artifact.File) *headracev1.ArtifactFile {
	p := &headracev1.ArtifactFile{
		Path: strings.ToValidUTF8(f.Path, "\uFFFD"), Directory: f.Mode.IsDir(), LinkTarget: strings.ToValidUTF8(f.Target, "\uFFFD"),
		SizeBytes: f.Size, Mode: uint32(f.Mode & fs.ModePerm), ModifyTime: timestamp(f.ModifiedAt), Digest: f.Digest,
	}
	if !utf8.ValidString(f.Path) {
		p.RawPath = []byte(f.Path)
	}
	return p
}

// GetArtifact implements ExecutionService.
func (s *executions) GetArtifact(
	req *headracev1.GetArtifactRequest, stream grpc.ServerStreamingServer[headracev1.GetArtifactResponse],
) error {
	ctx := stream.Context()
	name, err := s.find(ctx, req.GetName())
	if err != nil {
		return err
	}
	part := service.ArtifactPart{
		ArtifactName: service.ArtifactName{ExecutionID: name.ID, Name: req.GetArtifact(), Digest: req.GetDigest()},
		Path:         req.GetPath(), Offset: req.GetOffset(), Bytes: req.GetMaxBytes(),
	}
	if len(req.GetRawPath()) > 0 {
		if part.Path != "" {
			return invalidField("path is set too; set one of them", "raw_path")
		}
		part.Path = string(req.GetRawPath())
	}
	return s.artifacts.Get(ctx, caller(ctx), name.Account, part, func(content service.ArtifactContent) error {
		p := &headracev1.ArtifactContent{Artifact: artifactToProto(content.Artifact), SizeBytes: content.Size}
		if content.File != nil {
			p.File = artifactFileToProto(*content.File)
		}
		return stream.Send(&headracev1.GetArtifactResponse{Content: p, Offset: min(req.GetOffset(), content.Size)})
	}, func(offset int64, data []byte) error {
		return stream.Send(&headracev1.GetArtifactResponse{Offset: offset, Data: data})
	})
}
