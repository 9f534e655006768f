package crashtest

import (
	"context"
	"errors"
	"math/rand/v2"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
)

// fault is a failure that a site suffers and that is repaired at the end of it. The pauses
// in faults, and between them, do not wait for a condition: how long a server is stopped is
// part of the fault.
type fault struct {
	name string
	do   func(s *site, random *rand.Rand)
}

// faults are those that a site can suffer, the usual ones more than once.
func (s *site) faults() []fault {
	killed := fault{"a server is killed", func(s *site, random *rand.Rand) {
		victim := s.servers[random.IntN(len(s.servers))]
		victim.kill()
		victim.start()
	}}
	paused := fault{"a server is paused", pause}
	all := []fault{killed, killed, paused, paused, {"a server is killed again while it starts", killTwice}}
	if s.url == "" {
		return all
	}
	cut := fault{"connections are cut", cut}
	return append(all, cut, cut,
		fault{"all servers are killed", killAll},
		fault{"PostgreSQL crashes", func(s *site, random *rand.Rand) {
			require.NoError(s.t, s.cluster.Kill())
			<-time.After(time.Duration(random.IntN(3000)) * time.Millisecond)
			require.NoError(s.t, s.cluster.Start())
		}},
		fault{"PostgreSQL is restarted", func(s *site, _ *rand.Rand) { require.NoError(s.t, s.cluster.Restart()) }},
	)
}

// pause is shorter than a lease, or longer.
func pause(s *site, random *rand.Rand) {
	process := s.servers[random.IntN(len(s.servers))].process.Process
	require.NoError(s.t, process.Signal(syscall.SIGSTOP))
	<-time.After(time.Duration(500+random.IntN(5500)) * time.Millisecond)
	require.NoError(s.t, process.Signal(syscall.SIGCONT))
}

func killTwice(s *site, random *rand.Rand) {
	victim := s.servers[random.IntN(len(s.servers))]
	victim.kill()
	victim.launch()
	<-time.After(time.Duration(random.IntN(300)) * time.Millisecond)
	victim.kill()
	victim.start()
}

func killAll(s *site, _ *rand.Rand) {
	for _, victim := range s.servers {
		victim.kill()
	}
	for _, victim := range s.servers {
		victim.start()
	}
}

func cut(s *site, _ *rand.Rand) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	c, err := pgx.Connect(ctx, s.url)
	require.NoError(s.t, err)
	_, err = c.Exec(ctx, `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()`)
	require.NoError(s.t, errors.Join(err, c.Close(ctx)))
}

// suffer takes faults, each kind before the next round of all, until done or there were
// as many as asked for. It returns how many of each there were.
func (s *site) suffer(random *rand.Rand, atMost int, done <-chan struct{}) map[string]int {
	s.t.Helper()
	suffered := make(map[string]int)
	var deck []fault
	for n := 0; n < atMost; n++ {
		select {
		case <-done:
			return suffered
		case <-time.After(time.Duration(random.IntN(1000)) * time.Millisecond):
		}
		if len(deck) == 0 {
			deck = s.faults()
			random.Shuffle(len(deck), func(i, j int) { deck[i], deck[j] = deck[j], deck[i] })
		}
		b := deck[0]
		deck = deck[1:]
		begun := time.Now()
		b.do(s, random)
		suffered[b.name]++
		s.t.Logf("%s to %s: %s", begun.UTC().Format("15:04:05.000"), time.Now().UTC().Format("15:04:05.000"), b.name)
	}
	return suffered
}
