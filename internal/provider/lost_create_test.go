package provider_test

import (
	"context"
	"errors"
	"regexp"
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/config"
	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
	tfstate "github.com/hashicorp/terraform-plugin-testing/terraform"

	"github.com/headrace/terraform-provider-headrace/backend/client"
	headracev1 "github.com/headrace/terraform-provider-headrace/backend/gen/headrace/v1"
	"github.com/headrace/terraform-provider-headrace/internal/provider/acctest"
)

// confirmed matches the requests that hold the id of a create that is confirmed: first
// the create, then the read after it.
var confirmed = regexp.MustCompile(`[0-9a-f-]{36}/[0-9a-f-]{36}`)

// TestLostCreate cuts the connection at each point of the exchange of a create. The next
// apply goes on with the object that there is, and the plan after it is empty.
func TestLostCreate(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		file    string
		at      acctest.Cut
		request *regexp.Regexp
		// read is set to cut the read that confirms instead of the create.
		read bool
	}{
		"pipeline before the request":   {file: "pipeline", at: acctest.CutRequest},
		"pipeline before the answer":    {file: "pipeline", at: acctest.CutAnswer},
		"pipeline in the answer":        {file: "pipeline", at: acctest.CutMiddle},
		"pipeline before the status":    {file: "pipeline", at: acctest.CutStatus},
		"pipeline before the read":      {file: "pipeline", at: acctest.CutRequest, read: true},
		"pipeline after the read":       {file: "pipeline", at: acctest.CutAnswer, read: true},
		"composed pipeline":             {file: "composed", at: acctest.CutAnswer},
		"stage before the answer":       {file: "stage", at: acctest.CutAnswer},
		"stage before the read":         {file: "stage", at: acctest.CutRequest, read: true},
		"action before the answer":      {file: "action", at: acctest.CutAnswer},
		"action before the read":        {file: "action", at: acctest.CutRequest, read: true},
		"rule before the answer":        {file: "rule", at: acctest.CutAnswer},
		"rule before the read":          {file: "rule", at: acctest.CutRequest, read: true},
		"webhook before the answer":     {file: "webhook", at: acctest.CutAnswer},
		"webhook before the read":       {file: "webhook", at: acctest.CutRequest, read: true},
		"trigger before the answer":     {file: "trigger", at: acctest.CutAnswer},
		"trigger before the read":       {file: "trigger", at: acctest.CutRequest, read: true},
		"version before the answer":     {file: "version", at: acctest.CutAnswer, request: regexp.MustCompile(`accounts/default/pipelines/web$`)},
		"transition before the answer":  {file: "transition", at: acctest.CutAnswer, request: regexp.MustCompile("Freeze")},
		"transition before the request": {file: "transition", at: acctest.CutRequest, request: regexp.MustCompile("Freeze")},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			backend := acctest.Start(t)
			compose(t, backend)
			listen(t, backend)
			proxy := acctest.StartProxy(t, backend.Endpoint)
			request, skip := confirmed, 0
			if test.request != nil {
				request = test.request
			}
			if test.read {
				skip = 1
			}
			file := config.StaticFile("testdata/lost/" + test.file + ".tf")
			first := resource.TestStep{
				PreConfig: func() { proxy.Die(test.at, request, skip) }, ConfigFile: file, ExpectError: acctest.Says("Cannot"),
			}
			if test.read {
				// The object is in the state, and the apply only warns.
				first.ExpectError = nil
				first.ConfigStateChecks = []statecheck.StateCheck{acctest.Afterwards(func(context.Context) error {
					if !proxy.Died() {
						return errors.New("the proxy did not die")
					}
					proxy.Revive()
					return nil
				})}
			}
			resource.Test(t, resource.TestCase{
				ProtoV6ProviderFactories: acctest.Factories(map[string]string{
					client.EnvEndpoint: proxy.Endpoint, client.EnvToken: backend.AdminToken,
				}),
				Steps: []resource.TestStep{first, {PreConfig: proxy.Revive, ConfigFile: file}},
			})
		})
	}
}

// TestCreatedTwice holds that an object that was created once is not taken for a lost one:
// neither by a second block of the same configuration nor by a second configuration.
func TestCreatedTwice(t *testing.T) {
	t.Parallel()
	backend := acctest.Start(t)
	exists := acctest.Says(`approval rule "twice" exists in account "default"`)
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: backend.Provider(),
		Steps: []resource.TestStep{
			{ConfigFile: config.StaticFile("testdata/lost/twice.tf"), ExpectError: exists},
		},
		CheckDestroy: func(*tfstate.State) error {
			found, err := backend.API.ApprovalRules.ListApprovalRules(context.Background(), &headracev1.ListApprovalRulesRequest{
				Parent: "accounts/default",
			})
			if err == nil && len(found.GetApprovalRules()) > 0 {
				return errors.New("the rule is left, though one of the two blocks had it")
			}
			return err
		},
	})
	for range 2 {
		resource.Test(t, resource.TestCase{
			ProtoV6ProviderFactories: backend.Provider(),
			Steps: []resource.TestStep{{
				ConfigFile: config.StaticFile("testdata/lost/rule.tf"),
				ConfigStateChecks: []statecheck.StateCheck{acctest.Afterwards(func(context.Context) error {
					return second(t, backend)
				})},
			}},
		})
	}
}

// second creates the rule of testdata/lost/rule.tf as another provider would.
func second(t *testing.T, backend *acctest.Backend) error {
	t.Helper()
	_, err := backend.API.ApprovalRules.CreateApprovalRule(context.Background(), &headracev1.CreateApprovalRuleRequest{
		ApprovalRule: &headracev1.ApprovalRule{
			Name: "accounts/default/approvalRules/lost", MinimumCount: 1,
			Selector:       &headracev1.ApprovalSelector{Pipelines: []string{"web"}},
			NewerExecution: headracev1.NewerExecution_NEWER_EXECUTION_WAIT,
		},
		RequestId: "second/1",
	})
	if err == nil {
		return errors.New("the rule was given to a second configuration")
	}
	return nil
}
