// Package metrics counts what the server does, for Prometheus. It must never
// name accounts, pipelines or people: whoever may scrape need not know them.
package metrics

import (
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"google.golang.org/grpc/codes"

	"github.com/headrace/terraform-provider-headrace/backend/internal/execution"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

// Metrics is a registry of its own, so that servers in one process do not meet.
type Metrics struct {
	registry  *prometheus.Registry
	calls     *prometheus.CounterVec
	durations *prometheus.HistogramVec
	started   prometheus.Counter
	finished  *prometheus.CounterVec
	decisions prometheus.Counter
	verdicts  *prometheus.CounterVec
	abandons  *prometheus.CounterVec
	hooks     *prometheus.CounterVec
	hookTimes *prometheus.HistogramVec
	trees     prometheus.Counter
	bytes     prometheus.Counter
	returned  prometheus.Counter
	closed    *prometheus.CounterVec
}

// Counts are what is going on, by all servers on one database.
type Counts struct {
	// Live executions, attempts that wait for a runner and attempts that a runner
	// holds.
	Live, Queued, Running int
}

// New returns metrics of a server of that version. Count is asked at every scrape;
// after an error its gauges are left out.
func New(version string, count func() (Counts, error)) *Metrics {
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		calls: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "headrace_grpc_requests_total", Help: "Calls that ended, by method and gRPC code.",
		}, []string{"method", "code"}),
		durations: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "headrace_grpc_request_duration_seconds", Help: "How long calls took; streams as long as they were open.",
			Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .1, .5, 2.5, 10},
		}, []string{"method"}),
		started: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "headrace_executions_started_total", Help: "Executions that started.",
		}),
		finished: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "headrace_executions_finished_total", Help: "Executions that ended, by status.",
		}, []string{"status"}),
		decisions: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "headrace_decisions_total", Help: "Decisions of the engine that were committed.",
		}),
		verdicts: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "headrace_approval_decisions_total", Help: "What people decided on approvals, by verdict.",
		}, []string{"verdict"}),
		abandons: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "headrace_abandons_total",
			Help: "Tries to tell a service to end abandoned work, by result: confirmed, failed (tried again) or given_up.",
		}, []string{"result"}),
		hooks: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "headrace_hook_requests_total",
			Help: "Requests to addresses of webhooks, by kind of webhook and by outcome: accepted, ignored, refused, throttled, " +
				"unavailable or unknown_path.",
		}, []string{"kind", "outcome"}),
		hookTimes: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "headrace_hook_request_duration_seconds",
			Help:    "How long requests to addresses of webhooks took, with the reading of their bodies.",
			Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .1, .5, 2.5, 10},
		}, []string{"kind"}),
		returned: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "headrace_attempts_returned_total", Help: "Attempts that the runner returned, because it could not begin them.",
		}),
		trees: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "headrace_retention_artifacts_removed_total", Help: "Stored artifacts that retention removed.",
		}),
		bytes: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "headrace_retention_bytes_removed_total", Help: "Bytes of stored artifacts that retention removed.",
		}),
		closed: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "headrace_connections_closed_total",
			Help: "Connections that were closed because they had not authenticated, by listener (grpc, http or hooks) and by reason: " +
				"full or address (for a newer one), idle, size, or refused (all others had authenticated).",
		}, []string{"listener", "reason"}),
	}
	info := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "headrace_build_info", Help: "Always 1; the version is in the label.", ConstLabels: prometheus.Labels{"version": version},
	})
	info.Set(1)
	m.registry.MustRegister(
		m.calls, m.durations, m.started, m.finished, m.decisions, m.verdicts, m.abandons, m.hooks, m.hookTimes, m.trees, m.bytes, m.returned, m.closed, info,
		gauges{
			count:   count,
			live:    prometheus.NewDesc("headrace_executions_live", "Executions that have not ended.", nil, nil),
			queued:  prometheus.NewDesc("headrace_attempts_queued", "Attempts that wait for a runner.", nil, nil),
			running: prometheus.NewDesc("headrace_attempts_running", "Attempts that a runner holds.", nil, nil),
		},
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	return m
}

// gauges are counted when they are scraped.
type gauges struct {
	count                 func() (Counts, error)
	live, queued, running *prometheus.Desc
}

// Describe implements prometheus.Collector.
func (g gauges) Describe(descs chan<- *prometheus.Desc) {
	descs <- g.live
	descs <- g.queued
	descs <- g.running
}

// Collect implements prometheus.Collector.
func (g gauges) Collect(metrics chan<- prometheus.Metric) {
	c, err := g.count()
	if err != nil {
		return
	}
	for desc, n := range map[*prometheus.Desc]int{g.live: c.Live, g.queued: c.Queued, g.running: c.Running} {
		metrics <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, float64(n))
	}
}

// Database adds whether the database turned out to be damaged, which is asked at every scrape.
func (m *Metrics) Database(damaged func() bool) {
	m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "headrace_database_damaged", Help: "1 if the server found that its database is damaged, else 0.",
	}, func() float64 {
		if damaged() {
			return 1
		}
		return 0
	}))
}

// Handler serves the metrics.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{Registry: m.registry})
}

// Called counts a call that ended.
func (m *Metrics) Called(method string, code codes.Code, took time.Duration) {
	m.calls.WithLabelValues(method, code.String()).Inc()
	m.durations.WithLabelValues(method).Observe(took.Seconds())
}

// Delivered counts a request to the address of a webhook.
func (m *Metrics) Delivered(kind, outcome string, took time.Duration) {
	m.hooks.WithLabelValues(kind, outcome).Inc()
	m.hookTimes.WithLabelValues(kind).Observe(took.Seconds())
}

// Removed counts artifacts that retention removed.
func (m *Metrics) Removed(trees int, bytes int64) {
	m.trees.Add(float64(trees))
	m.bytes.Add(float64(bytes))
}

// Closed counts a connection that was closed because it had not authenticated.
func (m *Metrics) Closed(listener, reason string) { m.closed.WithLabelValues(listener, reason).Inc() }

// Certificate adds when the server's certificate expires, which is asked at every scrape.
func (m *Metrics) Certificate(notAfter func() time.Time) {
	m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "headrace_certificate_not_after_timestamp_seconds",
		Help: "When the certificate of the server expires, or the first of its chain, in seconds since 1970.",
	}, func() float64 { return float64(notAfter().Unix()) }))
}

// Returned counts an attempt that the runner returned.
func (m *Metrics) Returned() { m.returned.Inc() }

// Abandoned counts a try to abandon the work of an action.
func (m *Metrics) Abandoned(result execution.AbandonResult) {
	m.abandons.WithLabelValues(string(result)).Inc()
}

// Committed counts a change that is in the store. It reads the events alone:
// executions may have been changed again by now.
func (m *Metrics) Committed(change *execution.Change) {
	m.decisions.Inc()
	for i := range change.Events {
		ev := &change.Events[i]
		switch {
		case ev.State == execution.EventApproved || ev.State == execution.EventRejected:
			m.verdicts.WithLabelValues(string(ev.State)).Inc()
		case ev.Subject != execution.SubjectExecution:
		case ev.State == execution.EventStarted:
			m.started.Inc()
		default:
			if status, ok := endedAs(ev.State); ok {
				m.finished.WithLabelValues(string(status)).Inc()
			}
		}
	}
}

// endedAs returns the status of an execution whose event tells its end.
func endedAs(state execution.EventState) (pipeline.Status, bool) {
	switch state {
	case execution.EventSucceeded:
		return pipeline.Succeeded, true
	case execution.EventFailed:
		return pipeline.Failed, true
	case execution.EventStopped:
		return pipeline.Stopped, true
	case execution.EventSuperseded:
		return pipeline.StatusSuperseded, true
	case execution.EventCanceled:
		return pipeline.Cancelled, true
	default:
		return "", false
	}
}
