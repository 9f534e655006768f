package rpc

import (
	"context"
	"fmt"
	"strings"
	"time"

	headracev1 "github.com/headrace/terraform-provider-headrace/backend/gen/headrace/v1"
	"github.com/headrace/terraform-provider-headrace/backend/internal/forge"
	"github.com/headrace/terraform-provider-headrace/backend/internal/ledger"
	"github.com/headrace/terraform-provider-headrace/backend/internal/service"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

// webhooks serves WebhookService.
type webhooks struct {
	headracev1.UnimplementedWebhookServiceServer
	use        *service.Webhooks
	deliveries *service.Deliveries
}

// CreateWebhook implements WebhookService.
func (s *webhooks) CreateWebhook(ctx context.Context, req *headracev1.CreateWebhookRequest) (*headracev1.CreateWebhookResponse, error) {
	w, err := webhookFromProto(req.GetWebhook())
	if err != nil {
		return nil, err
	}
	created, err := s.use.Create(ctx, caller(ctx), w, req.GetWebhook().GetSecret(), req.GetRequestId(), req.GetValidateOnly())
	if err != nil {
		return nil, err
	}
	return &headracev1.CreateWebhookResponse{Webhook: webhookToProto(created)}, nil
}

// GetWebhook implements WebhookService.
func (s *webhooks) GetWebhook(ctx context.Context, req *headracev1.GetWebhookRequest) (*headracev1.GetWebhookResponse, error) {
	name, err := named(pipeline.ParseWebhookName, req.GetName(), "name")
	if err != nil {
		return nil, err
	}
	err = s.use.ConfirmCreate(ctx, caller(ctx), service.Created{
		Account: name.Account, Method: "CreateWebhook", Resource: name.String(), RequestID: req.GetConfirmRequestId(),
	})
	if err != nil {
		return nil, err
	}
	w, err := s.use.Get(ctx, caller(ctx), name.Account, name.Webhook)
	if err != nil {
		return nil, err
	}
	return &headracev1.GetWebhookResponse{Webhook: webhookToProto(w)}, nil
}

// ListWebhooks implements WebhookService.
func (s *webhooks) ListWebhooks(ctx context.Context, req *headracev1.ListWebhooksRequest) (*headracev1.ListWebhooksResponse, error) {
	parent, err := named(pipeline.ParseAccountName, req.GetParent(), "parent")
	if err != nil {
		return nil, err
	}
	after, err := pageKey(req.GetPageToken())
	if err != nil {
		return nil, err
	}
	found, next, err := s.use.List(ctx, caller(ctx), parent.Account, after, pageSize(req.GetPageSize(), defaultPage))
	if err != nil {
		return nil, err
	}
	return &headracev1.ListWebhooksResponse{Webhooks: each(found, webhookToProto), NextPageToken: pageToken(next)}, nil
}

// UpdateWebhook implements WebhookService.
func (s *webhooks) UpdateWebhook(ctx context.Context, req *headracev1.UpdateWebhookRequest) (*headracev1.UpdateWebhookResponse, error) {
	w, err := webhookFromProto(req.GetWebhook())
	if err != nil {
		return nil, err
	}
	declared := func(w ledger.Webhook) *headracev1.Webhook { return webhookToProto(service.WebhookView{Webhook: w}) }
	updated, err := s.use.Update(ctx, caller(ctx), w, req.GetWebhook().GetSecret(), req.GetWebhook().GetEtag(), req.GetValidateOnly(),
		refuseClearing(ctx, req, fmt.Sprintf("webhook %q", w.Name), declared))
	if err != nil {
		return nil, err
	}
	return &headracev1.UpdateWebhookResponse{Webhook: webhookToProto(updated)}, nil
}

// DeleteWebhook implements WebhookService.
func (s *webhooks) DeleteWebhook(ctx context.Context, req *headracev1.DeleteWebhookRequest) (*headracev1.DeleteWebhookResponse, error) {
	name, err := named(pipeline.ParseWebhookName, req.GetName(), "name")
	if err != nil {
		return nil, err
	}
	if err := s.use.Delete(ctx, caller(ctx), name.Account, name.Webhook, req.GetEtag()); err != nil {
		return nil, err
	}
	return &headracev1.DeleteWebhookResponse{}, nil
}

// RetireWebhookSecret implements WebhookService.
func (s *webhooks) RetireWebhookSecret(ctx context.Context, req *headracev1.RetireWebhookSecretRequest) (*headracev1.RetireWebhookSecretResponse, error) {
	name, err := named(pipeline.ParseWebhookName, req.GetName(), "name")
	if err != nil {
		return nil, err
	}
	w, err := s.use.RetireSecret(ctx, caller(ctx), name.Account, name.Webhook)
	if err != nil {
		return nil, err
	}
	return &headracev1.RetireWebhookSecretResponse{Webhook: webhookToProto(w)}, nil
}

// ListDeliveries implements WebhookService.
func (s *webhooks) ListDeliveries(ctx context.Context, req *headracev1.ListDeliveriesRequest) (*headracev1.ListDeliveriesResponse, error) {
	query := service.DeliveriesQuery{Size: pageSize(req.GetPageSize(), defaultPage)}
	if account, err := pipeline.ParseAccountName(req.GetParent()); err == nil {
		query.Account = account.Account
	} else {
		name, err := named(pipeline.ParseWebhookName, req.GetParent(), "parent")
		if err != nil {
			return nil, err
		}
		query.Account, query.Webhook = name.Account, name.Webhook
	}
	var known bool
	if query.Status, known = deliveryStatusEnum.FromProto(req.GetStatus()); !known {
		return nil, invalidField("this status is not known; use ACCEPTED, IGNORED or REFUSED", "status")
	}
	var err error
	if query.Before, err = pageKey(req.GetPageToken()); err != nil {
		return nil, err
	}
	found, next, err := s.deliveries.List(ctx, caller(ctx), query)
	if err != nil {
		return nil, err
	}
	account := query.Account
	return &headracev1.ListDeliveriesResponse{
		Deliveries: each(found, func(d service.DeliveryView) *headracev1.Delivery { return deliveryToProto(account, d) }), NextPageToken: pageToken(next),
	}, nil
}

// GetDelivery implements WebhookService.
func (s *webhooks) GetDelivery(ctx context.Context, req *headracev1.GetDeliveryRequest) (*headracev1.GetDeliveryResponse, error) {
	name, err := named(pipeline.ParseDeliveryName, req.GetName(), "name")
	if err != nil {
		return nil, err
	}
	d, err := s.deliveries.Get(ctx, caller(ctx), name)
	if err != nil {
		return nil, err
	}
	if len(d.Body) > maxDeliveryBody {
		return nil, &service.Error{Kind: service.KindExhausted, Message: fmt.Sprintf(
			"the body of delivery %q has %d bytes, and a response holds at most %d; the decisions on it are in ListDeliveries", name.ID, len(d.Body), maxDeliveryBody)}
	}
	return &headracev1.GetDeliveryResponse{Delivery: deliveryToProto(name.Account, d)}, nil
}

// maxDeliveryBody is what fits into a message beside the rest of a delivery.
const maxDeliveryBody = maxAnswerSize - 1<<20

// ReplayDelivery implements WebhookService.
func (s *webhooks) ReplayDelivery(ctx context.Context, req *headracev1.ReplayDeliveryRequest) (*headracev1.ReplayDeliveryResponse, error) {
	name, err := named(pipeline.ParseDeliveryName, req.GetName(), "name")
	if err != nil {
		return nil, err
	}
	d, err := s.deliveries.Replay(ctx, caller(ctx), name)
	if err != nil {
		return nil, err
	}
	d.Body, d.Headers = nil, nil
	return &headracev1.ReplayDeliveryResponse{Delivery: deliveryToProto(name.Account, d)}, nil
}

// connectionName returns the name of a connection of an account that is in a field of a
// request, empty for none.
func connectionName(account, resource string, field ...string) (string, error) {
	if resource == "" {
		return "", nil
	}
	prefix := connectionResource(account, "")
	name, ok := strings.CutPrefix(resource, prefix)
	if !ok || pipeline.CheckWebhook(name) != nil {
		return "", invalidField(fmt.Sprintf("%q is not the name of a connection of this account; write %s{connection}", resource, prefix), field...)
	}
	return name, nil
}

// connectionResource is the reverse of connectionName.
func connectionResource(account, name string) string {
	return pipeline.AccountName{Account: account}.String() + "/connections/" + name
}

func webhookFromProto(p *headracev1.Webhook) (ledger.Webhook, error) {
	name, err := named(pipeline.ParseWebhookName, p.GetName(), "webhook", "name")
	if err != nil {
		return ledger.Webhook{}, err
	}
	kind, known := webhookKindEnum.FromProto(p.GetKind())
	if !known || kind == "" {
		return ledger.Webhook{}, invalidField("this kind is not known; use GITHUB, GITLAB, GITEA or GENERIC", "webhook", "kind")
	}
	connection, err := connectionName(name.Account, p.GetConnection(), "webhook", "connection")
	if err != nil {
		return ledger.Webhook{}, err
	}
	return ledger.Webhook{
		Account: name.Account, Name: name.Webhook, Connection: connection,
		WebhookDetails: ledger.WebhookDetails{
			Description: p.GetDescription(), Kind: kind, Authentication: authenticationFromProto(p.GetAuthentication()),
			Manage: p.GetManage(), Tags: p.GetTags(),
		},
	}, nil
}

func authenticationFromProto(p *headracev1.WebhookAuthentication) forge.Authentication {
	switch method := p.GetMethod().(type) {
	case *headracev1.WebhookAuthentication_Hmac:
		h := method.Hmac
		return forge.Authentication{HMAC: &forge.HMAC{Header: h.GetHeader(), Algorithm: h.GetAlgorithm(), Prefix: h.GetPrefix(), Encoding: h.GetEncoding()}}
	case *headracev1.WebhookAuthentication_StandardWebhooks:
		return forge.Authentication{StandardWebhooks: true}
	case *headracev1.WebhookAuthentication_Bearer:
		return forge.Authentication{Bearer: true}
	default:
		return forge.Authentication{}
	}
}

func authenticationToProto(a forge.Authentication) *headracev1.WebhookAuthentication {
	switch {
	case a.HMAC != nil:
		return &headracev1.WebhookAuthentication{Method: &headracev1.WebhookAuthentication_Hmac{Hmac: &headracev1.HmacAuthentication{
			Header: a.HMAC.Header, Algorithm: a.HMAC.Algorithm, Prefix: a.HMAC.Prefix, Encoding: a.HMAC.Encoding,
		}}}
	case a.StandardWebhooks:
		return &headracev1.WebhookAuthentication{Method: &headracev1.WebhookAuthentication_StandardWebhooks{
			StandardWebhooks: &headracev1.StandardWebhooksAuthentication{},
		}}
	case a.Bearer:
		return &headracev1.WebhookAuthentication{Method: &headracev1.WebhookAuthentication_Bearer{Bearer: &headracev1.BearerAuthentication{}}}
	default:
		return nil
	}
}

func webhookToProto(v service.WebhookView) *headracev1.Webhook {
	w := &v.Webhook
	p := &headracev1.Webhook{
		Name: pipeline.WebhookName{Account: w.Account, Webhook: w.Name}.String(), Description: w.Description,
		Kind: webhookKindEnum.ToProto(w.Kind), Authentication: authenticationToProto(w.Authentication),
		Manage: w.Manage, Url: v.URL, Tags: w.Tags, Etag: w.Etag(),
		Secrets: each(w.Secrets, func(s ledger.WebhookSecret) *headracev1.WebhookSecret {
			return &headracev1.WebhookSecret{Version: s.Version, CreateTime: timestamp(s.CreatedAt), LastUseTime: timestamp(w.Used.Secrets[s.Version])}
		}),
		ManagedHooks: each(w.Hooks, func(h ledger.ManagedHook) *headracev1.ManagedHook {
			return &headracev1.ManagedHook{
				Repository: h.Repository, HookId: h.HookID, Active: h.Active, Problem: h.Problem, CheckTime: timestamp(h.CheckedAt),
			}
		}),
		CreateTime: timestamp(w.CreatedAt), UpdateTime: timestamp(w.UpdatedAt),
		LastDeliveryTime: timestamp(w.Used.DeliveryAt), LastRefusalTime: timestamp(w.Used.RefusalAt),
	}
	if w.Connection != "" {
		p.Connection = connectionResource(w.Account, w.Connection)
	}
	return p
}

func deliveryToProto(account string, v service.DeliveryView) *headracev1.Delivery {
	d := &v.Delivery
	name := pipeline.DeliveryName{WebhookName: pipeline.WebhookName{Account: account, Webhook: v.Webhook}, ID: d.ID}
	p := &headracev1.Delivery{
		Name: name.String(), ExternalId: d.ExternalID, Event: d.Event, ReceiveTime: timestamp(d.ReceivedAt.Truncate(time.Microsecond)),
		Status: deliveryStatusEnum.ToProto(d.Status), Message: d.Message, Address: d.Address, Count: 1, Headers: d.Headers,
		Body: v.Body, BodySize: d.BodySize, Decisions: each(v.Decisions, decisionToProto), Attempts: d.Attempts, Repository: d.Repository,
		Pusher: d.Pusher, Forge: v.Kind.Title(), Reason: d.Reason,
	}
	if d.Status == ledger.Refused {
		p.Count, p.Attempts = d.Attempts, 0
	}
	return p
}
