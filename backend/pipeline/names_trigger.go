package pipeline

import (
	"strconv"
	"strings"
)

// TriggerName is accounts/{account}/triggers/{trigger}, or of a trigger that belongs to a
// pipeline accounts/{account}/pipelines/{pipeline}/triggers/{source action}.
type TriggerName struct {
	Account string
	// Pipeline is empty for a trigger that is declared on its own.
	Pipeline string
	Trigger  string
}

// WebhookName is accounts/{account}/webhooks/{webhook}.
type WebhookName struct {
	Account string
	Webhook string
}

// DeliveryName is accounts/{account}/webhooks/{webhook}/deliveries/{delivery}.
type DeliveryName struct {
	WebhookName
	ID string
}

// String returns the resource name.
func (n TriggerName) String() string {
	if n.Pipeline != "" {
		return PipelineName{Account: n.Account, Pipeline: n.Pipeline}.String() + "/triggers/" + n.Trigger
	}
	return "accounts/" + n.Account + "/triggers/" + n.Trigger
}

// String returns the resource name.
func (n WebhookName) String() string { return "accounts/" + n.Account + "/webhooks/" + n.Webhook }

// String returns the resource name.
func (n DeliveryName) String() string { return n.WebhookName.String() + "/deliveries/" + n.ID }

// The forms of resource names.
const (
	triggerForm       = accountForm + "/triggers/{trigger}"
	inlineTriggerForm = pipelineForm + "/triggers/{trigger}"
	webhookForm       = accountForm + "/webhooks/{webhook}"
	deliveryForm      = webhookForm + "/deliveries/{delivery}"
)

// ParseTriggerName reads both forms of the name of a trigger.
func ParseTriggerName(name string) (TriggerName, error) {
	if s, err := parseName(name, "trigger", inlineTriggerForm); err == nil {
		return TriggerName{Account: s[0], Pipeline: s[1], Trigger: s[2]}, nil
	}
	s, err := parseName(name, "trigger", triggerForm)
	if err != nil {
		return TriggerName{}, err
	}
	return TriggerName{Account: s[0], Trigger: s[1]}, nil
}

// ParseWebhookName reads accounts/{account}/webhooks/{webhook}.
func ParseWebhookName(name string) (WebhookName, error) {
	s, err := parseName(name, "webhook", webhookForm)
	if err != nil {
		return WebhookName{}, err
	}
	return WebhookName{Account: s[0], Webhook: s[1]}, nil
}

// ParseDeliveryName reads accounts/{account}/webhooks/{webhook}/deliveries/{delivery}.
func ParseDeliveryName(name string) (DeliveryName, error) {
	s, err := parseName(name, "delivery", deliveryForm)
	if err != nil {
		return DeliveryName{}, err
	}
	return DeliveryName{WebhookName: WebhookName{Account: s[0], Webhook: s[1]}, ID: s[2]}, nil
}

// CheckTrigger says what is wrong with the name of a trigger, without what comes in front; 1
// to 100 of A-Z a-z 0-9 . @ _ - are right.
func CheckTrigger(trigger string) error { return checkSegment("trigger", trigger) }

// CheckWebhook says what is wrong with the name of a webhook, without what comes in front; 1
// to 100 of A-Z a-z 0-9 . @ _ - are right.
func CheckWebhook(webhook string) error { return checkSegment("webhook", webhook) }

const (
	// plainUser are the characters of names of forges that can be read as nothing else.
	plainUser = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-[]"
	// maxUser is how much of a name is shown, in bytes.
	maxUser = 100
)

// ForgeUser returns the name of a user of a forge for a line of text. A name that could be
// read as more than a name is quoted, and a long one is cut.
func ForgeUser(name string) string {
	if len(name) > maxUser {
		name = strings.ToValidUTF8(name[:maxUser], "") + "…"
	}
	if strings.Trim(name, plainUser) == "" {
		return name
	}
	return strconv.Quote(name)
}
