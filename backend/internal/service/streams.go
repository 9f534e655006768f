package service

import (
	"sync"
	"time"
)

// Streams are the use cases that send what happens as it happens: events and logs.
type Streams struct {
	config ExecutionsConfig
	// stopping ends streams when the server stops.
	stopping     chan struct{}
	stoppingOnce sync.Once
	searches     *fairSlots
	searchTime   time.Duration
	boards       *boards
	// heartbeat is the longest time between two patches of a watch.
	heartbeat time.Duration
}

// NewStreams returns the use cases that stream.
func NewStreams(config ExecutionsConfig) *Streams {
	return &Streams{config: config, stopping: make(chan struct{}), searches: newFairSlots("searches"), searchTime: searchTime, boards: newBoards(config), heartbeat: heartbeatEvery}
}

// EndStreams ends watches and log tails, so that a server can stop in time.
func (x *Streams) EndStreams() {
	x.stoppingOnce.Do(func() { close(x.stopping) })
}
