package server

// capabilities are the features that clients may ask for by name. A name never
// changes its meaning.
func capabilities() []string {
	return []string{
		"approval_rules", "catalog", "composed_pipelines", "condition_override", "conditions", "execution_explain", "execution_stop",
		"inline_pipelines", "log_tail", "manual_approvals", "on_update", "pipeline_state", "retention", "source_overrides",
		"stage_retry", "stage_rollback", "stage_transitions", "tokens", "validate_only",
	}
}
