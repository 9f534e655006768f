package pipelinepb

import (
	headracev1 "github.com/headrace/terraform-provider-headrace/backend/gen/headrace/v1"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

func triggerFromProto(p *headracev1.Trigger) pipeline.Trigger {
	trigger := pipeline.Trigger{ProviderType: known(p.GetProviderType())}
	git := p.GetGitConfiguration()
	if git == nil {
		return trigger
	}
	trigger.GitConfiguration = &pipeline.GitConfiguration{
		SourceActionName: known(git.GetSourceActionName()),
		Push:             PushFiltersFromProto(git.GetPush()),
		PullRequest:      PullRequestFiltersFromProto(git.GetPullRequest()),
	}
	return trigger
}

// PushFiltersFromProto returns filters of pushes.
func PushFiltersFromProto(filters []*headracev1.GitPushFilter) []pipeline.GitPushFilter {
	return convert(filters, func(f *headracev1.GitPushFilter) pipeline.GitPushFilter {
		return pipeline.GitPushFilter{
			Branches:  globsFromProto(f.GetBranches()),
			FilePaths: globsFromProto(f.GetFilePaths()),
			Tags:      globsFromProto(f.GetTags()),
		}
	})
}

// PullRequestFiltersFromProto returns filters of pull requests.
func PullRequestFiltersFromProto(filters []*headracev1.GitPullRequestFilter) []pipeline.GitPullRequestFilter {
	return convert(filters, func(f *headracev1.GitPullRequestFilter) pipeline.GitPullRequestFilter {
		return pipeline.GitPullRequestFilter{
			Events:    knownList(f.GetEvents()),
			Branches:  globsFromProto(f.GetBranches()),
			FilePaths: globsFromProto(f.GetFilePaths()),
		}
	})
}

func triggerToProto(t pipeline.Trigger) *headracev1.Trigger {
	trigger := &headracev1.Trigger{ProviderType: t.ProviderType}
	git := t.GitConfiguration
	if git == nil {
		return trigger
	}
	trigger.GitConfiguration = &headracev1.GitConfiguration{
		SourceActionName: git.SourceActionName,
		Push:             PushFiltersToProto(git.Push),
		PullRequest:      PullRequestFiltersToProto(git.PullRequest),
	}
	return trigger
}

// PushFiltersToProto is the reverse of PushFiltersFromProto.
func PushFiltersToProto(filters []pipeline.GitPushFilter) []*headracev1.GitPushFilter {
	return convert(filters, func(f pipeline.GitPushFilter) *headracev1.GitPushFilter {
		return &headracev1.GitPushFilter{
			Branches:  globsToProto(f.Branches),
			FilePaths: globsToProto(f.FilePaths),
			Tags:      globsToProto(f.Tags),
		}
	})
}

// PullRequestFiltersToProto is the reverse of PullRequestFiltersFromProto.
func PullRequestFiltersToProto(filters []pipeline.GitPullRequestFilter) []*headracev1.GitPullRequestFilter {
	return convert(filters, func(f pipeline.GitPullRequestFilter) *headracev1.GitPullRequestFilter {
		return &headracev1.GitPullRequestFilter{
			Events:    copyList(f.Events),
			Branches:  globsToProto(f.Branches),
			FilePaths: globsToProto(f.FilePaths),
		}
	})
}

func globsFromProto(p *headracev1.GlobFilter) *pipeline.GlobFilter {
	if p == nil {
		return nil
	}
	return &pipeline.GlobFilter{Includes: knownList(p.GetIncludes()), Excludes: knownList(p.GetExcludes())}
}

func globsToProto(f *pipeline.GlobFilter) *headracev1.GlobFilter {
	if f == nil {
		return nil
	}
	return &headracev1.GlobFilter{Includes: copyList(f.Includes), Excludes: copyList(f.Excludes)}
}
