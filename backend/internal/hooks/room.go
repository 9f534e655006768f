package hooks

import (
	"context"
	"errors"
	"io"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"
)

const (
	// maxBodies is how many bytes of bodies are in memory at once.
	maxBodies = 256 << 20
	// maxUnverified is how much of that senders may take who have not proved that they hold a
	// secret, so that forges always find room.
	maxUnverified = maxBodies / 2
	// maxOfNetwork is how much one such sender may take: a little more than the largest body.
	maxOfNetwork = 32 << 20
	// roomStep is how much room a body takes at a time. Most bodies take one.
	roomStep = 64 << 10
	// roomPatience is how long a body waits for others to leave the memory.
	roomPatience = 5 * time.Second
)

var errNoRoom = errors.New("bodies of other deliveries fill the memory for them")

// Pace is how slowly a body may arrive. A body that has more time holds memory for longer.
type Pace struct {
	// Grace is how long a body may take in any case.
	Grace time.Duration
	// Rate is how many bytes a second must arrive on average after that.
	Rate int64
}

// defaultPace gives a body of 25 MiB 70 s. Forges hang up after 10 to 60 s.
func defaultPace() Pace { return Pace{Grace: 20 * time.Second, Rate: 512 << 10} }

// by returns when the bytes after the first n must arrive.
func (p Pace) by(start time.Time, n int64) time.Time {
	return start.Add(p.Grace + time.Duration(n*int64(time.Second)/p.Rate))
}

// rooms divide the memory for bodies among senders.
type rooms struct {
	all, unverified *semaphore.Weighted

	mu       sync.Mutex
	networks map[netip.Prefix]*share
}

// share is the room of one sender that is not verified.
type share struct {
	room   *semaphore.Weighted
	bodies int
}

func newRooms() *rooms {
	return &rooms{
		all: semaphore.NewWeighted(maxBodies), unverified: semaphore.NewWeighted(maxUnverified),
		networks: make(map[netip.Prefix]*share),
	}
}

// enter returns the room of a body. Its caller calls leave when it needs the body no more.
func (r *rooms) enter(from netip.Prefix, verified bool) *room {
	if verified {
		return &room{limits: []*semaphore.Weighted{r.all}, left: func() {}}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	own := r.networks[from]
	if own == nil {
		own = &share{room: semaphore.NewWeighted(maxOfNetwork)}
		r.networks[from] = own
	}
	own.bodies++
	return &room{limits: []*semaphore.Weighted{own.room, r.unverified, r.all}, left: func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		if own.bodies--; own.bodies == 0 {
			delete(r.networks, from)
		}
	}}
}

// room is the memory of one body.
type room struct {
	// limits are the narrowest first, so that a body that waits for its sender's own share
	// takes nothing from others.
	limits []*semaphore.Weighted
	held   int64
	left   func()
}

// take makes room for the first n bytes of the body.
func (r *room) take(ctx context.Context, n int64) error {
	for r.held < n {
		limited, cancel := context.WithTimeout(ctx, roomPatience)
		err := r.step(limited)
		cancel()
		if err != nil {
			return errNoRoom
		}
	}
	return nil
}

func (r *room) step(ctx context.Context) error {
	for n, limit := range r.limits {
		if err := limit.Acquire(ctx, roomStep); err != nil {
			for _, taken := range r.limits[:n] {
				taken.Release(roomStep)
			}
			return err
		}
	}
	r.held += roomStep
	return nil
}

// leave gives the memory to others.
func (r *room) leave() {
	for _, limit := range r.limits {
		limit.Release(r.held)
	}
	r.left()
}

// body reads a body that takes its share of the memory as it arrives, and that must arrive at
// some pace: a sender that only says that much will come keeps nobody away.
type body struct {
	ctx  context.Context //nolint:containedctx // It is the one of the request that is read.
	from io.Reader
	room *room
	pace Pace
	// deadline sets when the next bytes must arrive.
	deadline func(time.Time) error
	start    time.Time
	read     int64
}

// Read implements io.Reader.
func (b *body) Read(p []byte) (int, error) {
	if err := b.deadline(b.pace.by(b.start, b.read)); err != nil {
		return 0, err
	}
	n, err := b.from.Read(p)
	b.read += int64(n)
	if full := b.room.take(b.ctx, b.read); full != nil {
		return n, full
	}
	return n, err
}
