package cli

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/headrace/terraform-provider-headrace/backend/client"
	headracev1 "github.com/headrace/terraform-provider-headrace/backend/gen/headrace/v1"
)

func (a *app) webhookCommand() *cobra.Command {
	return group("webhook", "List and show webhooks, which are addresses for deliveries", &cobra.Command{
		Use:     "list",
		Short:   "List the webhooks of the account",
		Example: `  headrace webhook list`,
		Args:    cobra.NoArgs,
		RunE: a.call(func(ctx context.Context, c *client.Client, _ []string) error {
			all := &headracev1.ListWebhooksResponse{}
			request := &headracev1.ListWebhooksRequest{Parent: client.AccountName(c.Account)}
			for {
				page, err := c.Webhooks.ListWebhooks(ctx, request)
				if err != nil {
					return err
				}
				all.Webhooks = append(all.Webhooks, page.GetWebhooks()...)
				if request.PageToken = page.GetNextPageToken(); request.PageToken == "" {
					break
				}
			}
			if a.json() {
				return a.out.document(all)
			}
			var rows [][]string
			for _, hook := range all.GetWebhooks() {
				rows = append(rows, []string{
					client.Segment(hook.GetName(), "webhooks"), enumText(hook.GetKind(), "WEBHOOK_KIND_"), client.Segment(hook.GetConnection(), "connections"),
					timeText(hook.GetLastDeliveryTime()), timeText(hook.GetLastRefusalTime()), hook.GetUrl(),
				})
			}
			a.out.table([]string{"WEBHOOK", "KIND", "CONNECTION", "LAST DELIVERY", "LAST REFUSED", "URL"}, rows)
			return nil
		}),
	}, &cobra.Command{
		Use:     "show WEBHOOK",
		Short:   "Show a webhook, its secrets without their values, and its hooks on forges",
		Example: `  headrace webhook show github`,
		Args:    cobra.ExactArgs(1),
		RunE: a.call(func(ctx context.Context, c *client.Client, args []string) error {
			response, err := c.Webhooks.GetWebhook(ctx, &headracev1.GetWebhookRequest{Name: webhookName(c, args[0])})
			if err != nil {
				return err
			}
			if a.json() {
				return a.out.document(response)
			}
			a.showWebhook(response.GetWebhook())
			return nil
		}),
	}, a.retireSecretCommand())
}

func (a *app) retireSecretCommand() *cobra.Command {
	unused := false
	command := &cobra.Command{
		Use:   "retire-secret WEBHOOK",
		Short: "Retire the previous secret, so that only the newest is accepted",
		Long: `Retire the previous secret, so that only the newest is accepted. Do this after the sender has started
to use the newest secret; webhook show says when each secret was last used. Until the newest secret has
been used, the command changes nothing without --unused, because deliveries that the previous one signs
would be refused.`,
		Example: `  headrace webhook retire-secret github`,
		Args:    cobra.ExactArgs(1),
	}
	command.Flags().BoolVar(&unused, "unused", false, "retire the previous secret although the newest one has never been used")
	command.RunE = a.call(func(ctx context.Context, c *client.Client, args []string) error {
		name := webhookName(c, args[0])
		if !unused {
			if err := a.newestUsed(ctx, c, name, args[0]); err != nil {
				return err
			}
		}
		response, err := c.Webhooks.RetireWebhookSecret(ctx, &headracev1.RetireWebhookSecretRequest{Name: name})
		if err != nil {
			return err
		}
		if a.json() {
			return a.out.document(response)
		}
		a.showSecrets(response.GetWebhook())
		return nil
	})
	return command
}

// newestUsed returns an error if a webhook accepts an older secret beside one that no sender has
// used yet.
func (a *app) newestUsed(ctx context.Context, c *client.Client, name, shown string) error {
	response, err := c.Webhooks.GetWebhook(ctx, &headracev1.GetWebhookRequest{Name: name})
	if err != nil {
		return err
	}
	secrets := response.GetWebhook().GetSecrets()
	if len(secrets) < 2 {
		return nil
	}
	newest := slices.MaxFunc(secrets, func(a, b *headracev1.WebhookSecret) int { return cmp.Compare(a.GetVersion(), b.GetVersion()) })
	if newest.GetLastUseTime() != nil {
		return nil
	}
	return fmt.Errorf("no delivery was signed with secret %d, the newest of webhook %s: set it at the sender and wait for a delivery, or retire the older secret anyway with: %s",
		newest.GetVersion(), shown, a.hint(c, "webhook retire-secret "+shown+" --unused"))
}

func (a *app) showWebhook(hook *headracev1.Webhook) {
	a.out.fields(
		"Webhook", client.Segment(hook.GetName(), "webhooks"), "Description", hook.GetDescription(), "Kind", enumText(hook.GetKind(), "WEBHOOK_KIND_"),
		"Connection", client.Segment(hook.GetConnection(), "connections"), "URL", hook.GetUrl(), "Managed", managedText(hook),
		"Last delivery", timeText(hook.GetLastDeliveryTime()), "Last refused", timeText(hook.GetLastRefusalTime()),
		"Tags", pairsText(hook.GetTags()), "Updated", timeText(hook.GetUpdateTime()),
	)
	if !strings.Contains(hook.GetUrl(), "://") {
		a.out.linef("\nThe server has no --public-url, so only the path of the URL is known. It takes deliveries only with --hooks-listen.")
	}
	a.out.linef("")
	a.showSecrets(hook)
	if len(hook.GetManagedHooks()) == 0 {
		return
	}
	var rows [][]string
	for _, managed := range hook.GetManagedHooks() {
		problem := managed.GetProblem()
		if problem == "" {
			problem = "none"
		}
		rows = append(rows, []string{managed.GetRepository(), managed.GetHookId(), yesNo(managed.GetActive()), timeText(managed.GetCheckTime()), problem})
	}
	a.out.linef("")
	a.out.table([]string{"REPOSITORY", "HOOK", "ACTIVE", "CHECKED", "PROBLEM"}, rows)
}

// managedText says who registers the hooks of a forge.
func managedText(hook *headracev1.Webhook) string {
	if hook.GetKind() == headracev1.WebhookKind_WEBHOOK_KIND_GENERIC {
		return ""
	}
	return yesNo(hook.GetManage())
}

// showSecrets lists which secrets a webhook accepts.
func (a *app) showSecrets(hook *headracev1.Webhook) {
	var rows [][]string
	for _, secret := range hook.GetSecrets() {
		used := timeText(secret.GetLastUseTime())
		if used == "" {
			used = "never"
		}
		rows = append(rows, []string{fmt.Sprint(secret.GetVersion()), timeText(secret.GetCreateTime()), used})
	}
	a.out.table([]string{"SECRET", "SET", "LAST USED"}, rows)
}

func (a *app) deliveriesCommand() *cobra.Command {
	var status string
	var limit int
	statuses := []string{"accepted", "ignored", "refused"}
	command := &cobra.Command{
		Use:   "deliveries [WEBHOOK]",
		Short: "List deliveries, newest first",
		Long: `List the deliveries to a webhook, or to all webhooks of the account, newest first. For refused
deliveries, only the address and the reason are stored; COUNT says how many deliveries a line stands for.`,
		Example: "  headrace trigger deliveries github\n  headrace trigger deliveries --status refused",
		Args:    cobra.MaximumNArgs(1),
	}
	command.Flags().StringVar(&status, "status", "", "only deliveries with this status: "+strings.Join(statuses, ", "))
	command.Flags().IntVar(&limit, "limit", 20, "number of deliveries to list, 1 to 1000")
	command.RunE = a.call(func(ctx context.Context, c *client.Client, args []string) error {
		if status != "" && !slices.Contains(statuses, status) {
			return usagef("--status %s: use one of %s", status, strings.Join(statuses, ", "))
		}
		if limit < 1 || limit > 1000 {
			return usagef("--limit %d: use 1 to 1000", limit)
		}
		request := &headracev1.ListDeliveriesRequest{
			Parent: client.AccountName(c.Account), PageSize: int32(limit),
			Status: headracev1.DeliveryStatus(headracev1.DeliveryStatus_value["DELIVERY_STATUS_"+strings.ToUpper(status)]),
		}
		if len(args) > 0 {
			request.Parent = webhookName(c, args[0])
		}
		response, err := c.Webhooks.ListDeliveries(ctx, request)
		if err != nil {
			return err
		}
		if a.json() {
			return a.out.document(response)
		}
		var rows [][]string
		for _, delivery := range response.GetDeliveries() {
			rows = append(rows, []string{
				timeText(delivery.GetReceiveTime()), deliveryLabel(delivery.GetName()), enumText(delivery.GetStatus(), "DELIVERY_STATUS_"),
				delivery.GetEvent(), delivery.GetRepository(), claimText(delivery.GetPusher(), delivery.GetForge()), delivery.GetAddress(), fmt.Sprint(delivery.GetCount()), delivery.GetMessage(),
			})
		}
		a.out.table([]string{"TIME", "DELIVERY", "STATUS", "EVENT", "REPOSITORY", "PUSHED BY", "FROM", "COUNT", "MESSAGE"}, rows)
		return nil
	})
	return command
}

func (a *app) deliveryCommand() *cobra.Command {
	body := false
	command := &cobra.Command{
		Use:   "delivery DELIVERY",
		Short: "Show a delivery, with its headers and decisions",
		Long: `Show a delivery, with its headers and decisions, or print its body with --body. Headers and bodies can
hold secrets of the service that sent them, so only callers that may deploy get them. Bodies are stored
for 14 days. A DELIVERY is WEBHOOK/DELIVERY, as trigger deliveries lists it.`,
		Example: "  headrace trigger delivery github/0192f3c1-7d1e-7c3a-9a55-2f0f4b1c6d7e\n" +
			"  headrace trigger delivery github/0192f3c1-7d1e-7c3a-9a55-2f0f4b1c6d7e --body | jq .ref",
		Args: cobra.ExactArgs(1),
	}
	command.Flags().BoolVar(&body, "body", false, "print the body alone, as it was sent")
	command.RunE = a.call(func(ctx context.Context, c *client.Client, args []string) error {
		name, err := deliveryName(c, args[0])
		if err != nil {
			return err
		}
		response, err := c.Webhooks.GetDelivery(ctx, &headracev1.GetDeliveryRequest{Name: name})
		if err != nil {
			return err
		}
		delivery := response.GetDelivery()
		switch {
		case body && len(delivery.GetBody()) == 0:
			return fmt.Errorf("delivery %s has no body that can be shown: it was refused or is older than 14 days, or your token does not have the role deployer or admin", args[0])
		case body:
			return a.printBody(delivery.GetBody())
		case a.json():
			return a.out.document(response)
		}
		a.showDelivery(delivery)
		return nil
	})
	return command
}

// printBody prints a body as it was sent, or without what could command a terminal if it goes to one.
func (a *app) printBody(body []byte) error {
	text := string(body)
	if a.OnTerminal {
		text = harmless(text)
	}
	a.out.write(text)
	a.out.freshLine()
	return nil
}

func (a *app) showDelivery(delivery *headracev1.Delivery) {
	a.out.fields(
		"Delivery", deliveryLabel(delivery.GetName()), "Status", enumText(delivery.GetStatus(), "DELIVERY_STATUS_"), "Received", timeText(delivery.GetReceiveTime()),
		"Event", delivery.GetEvent(), "Repository", delivery.GetRepository(), "From", delivery.GetAddress(), "Reason", delivery.GetReason(), "Message", delivery.GetMessage(),
	)
	for _, name := range slices.Sorted(maps.Keys(delivery.GetHeaders())) {
		a.out.linef("%s: %s", oneLine(name), oneLine(delivery.GetHeaders()[name]))
	}
	if len(delivery.GetDecisions()) > 0 {
		a.out.linef("")
		a.decisions(delivery.GetDecisions())
	}
}

func (a *app) replayCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "replay DELIVERY",
		Short: "Decide on a delivery again",
		Long: `Decide on a delivery again, with the triggers as they are now. A change that has already started
an execution does not start another one. You count as the starter of what a replay starts: an approval
that excludes the starter excludes you. A DELIVERY is WEBHOOK/DELIVERY, as trigger deliveries lists it.`,
		Example: `  headrace trigger replay github/0192f3c1-7d1e-7c3a-9a55-2f0f4b1c6d7e`,
		Args:    cobra.ExactArgs(1),
		RunE: a.call(func(ctx context.Context, c *client.Client, args []string) error {
			name, err := deliveryName(c, args[0])
			if err != nil {
				return err
			}
			response, err := c.Webhooks.ReplayDelivery(ctx, &headracev1.ReplayDeliveryRequest{Name: name})
			if err != nil {
				return err
			}
			if a.json() {
				return a.out.document(response)
			}
			decisions := response.GetDelivery().GetDecisions()
			if len(decisions) == 0 {
				a.out.linef("no trigger reacts to this delivery")
				return nil
			}
			a.decisions(decisions)
			return nil
		}),
	}
}

// webhookName returns the full name of a webhook.
func webhookName(c *client.Client, text string) string {
	if client.Segment(text, "webhooks") != "" {
		return text
	}
	return client.WebhookName(c.Account, text)
}

// deliveryName returns the full name of a delivery.
func deliveryName(c *client.Client, text string) (string, error) {
	if client.Segment(text, "deliveries") != "" {
		return text, nil
	}
	hook, delivery, ok := strings.Cut(text, "/")
	if !ok {
		return "", usagef("delivery %q: write WEBHOOK/DELIVERY, as trigger deliveries lists it", text)
	}
	return client.WebhookName(c.Account, hook) + "/deliveries/" + delivery, nil
}

// deliveryLabel returns the short form of a delivery's name, which deliveryName reads.
func deliveryLabel(name string) string {
	return client.Segment(name, "webhooks") + "/" + client.Segment(name, "deliveries")
}
