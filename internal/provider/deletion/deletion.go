// Package deletion deletes objects that others use. Without references between them Terraform
// deletes an object and its users at the same time, or another configuration does. It must never
// know a resource.
package deletion

import (
	"context"
	"time"

	"github.com/headrace/terraform-provider-headrace/backend/client"
	domain "github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

const (
	// patience is how long an object waits for the next of its users to be deleted.
	patience = 10 * time.Second
	// pause is between two tries.
	pause = 200 * time.Millisecond
)

// AfterUsers repeats a deletion as long as it is refused for the reason that others use the object,
// and the users become fewer. It is up to the server to refuse: its refusal names the users, so it
// changes as long as they are deleted.
func AfterUsers(ctx context.Context, inUse domain.Reason, remove func(context.Context) error) error {
	refusal, deadline := "", time.Now()
	for {
		err := remove(ctx)
		if client.Reason(err) != inUse {
			return err
		}
		if said := client.Describe(err); said != refusal {
			refusal, deadline = said, time.Now().Add(patience)
		}
		if !time.Now().Before(deadline) {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(pause):
		}
	}
}
