package service

import (
	"github.com/headrace/terraform-provider-headrace/backend/internal/retention"
)

// RetentionResult says what retention removed, or would remove.
type RetentionResult struct {
	// Executions whose outputs go, at most ListedRemovals of ExecutionCount.
	Executions     []retention.Removal
	ExecutionCount int
	// Unused are the trees that no execution uses, or would use. They go once they have
	// rested. Removed are those that went.
	Unused, Removed TreeCount
}

// TreeCount counts trees and their bytes.
type TreeCount struct {
	Trees int
	Bytes int64
}

func (c *TreeCount) add(size int64) {
	c.Trees++
	c.Bytes += size
}
