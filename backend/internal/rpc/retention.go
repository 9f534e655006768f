package rpc

import (
	"context"

	"google.golang.org/protobuf/types/known/durationpb"

	headracev1 "github.com/headrace/terraform-provider-headrace/backend/gen/headrace/v1"
	"github.com/headrace/terraform-provider-headrace/backend/internal/retention"
	"github.com/headrace/terraform-provider-headrace/backend/internal/service"
)

// retentionServer serves RetentionService.
type retentionServer struct {
	headracev1.UnimplementedRetentionServiceServer
	use *service.Retention
}

// ApplyRetention implements RetentionService.
func (s *retentionServer) ApplyRetention(
	ctx context.Context, req *headracev1.ApplyRetentionRequest,
) (*headracev1.ApplyRetentionResponse, error) {
	result, err := s.use.Apply(ctx, caller(ctx), req.GetValidateOnly())
	if err != nil {
		return nil, err
	}
	return &headracev1.ApplyRetentionResponse{
		Policy: retentionPolicyToProto(s.use.Policy()), Removals: each(result.Executions, outputsRemovalToProto),
		ExecutionCount:  int32(result.ExecutionCount),
		UnusedArtifacts: artifactCountToProto(result.Unused), RemovedArtifacts: artifactCountToProto(result.Removed),
	}, nil
}

func retentionPolicyToProto(p retention.Policy) *headracev1.RetentionPolicy {
	policy := &headracev1.RetentionPolicy{Count: int32(p.Count), KeepLastSuccessful: p.KeepLastSuccessful}
	if p.Age > 0 {
		policy.Age = durationpb.New(p.Age)
	}
	return policy
}

func outputsRemovalToProto(r retention.Removal) *headracev1.OutputsRemoval {
	return &headracev1.OutputsRemoval{
		Execution: nameOf(r.Execution).String(), Number: r.Execution.Number, EndTime: timestamp(r.Execution.EndedAt), Reason: r.Reason,
	}
}

func artifactCountToProto(c service.TreeCount) *headracev1.ArtifactCount {
	return &headracev1.ArtifactCount{Artifacts: int64(c.Trees), Bytes: c.Bytes}
}
