// SPDX-License-Identifier: Apache-2.0

package worker

import (
	"runtime"
	"sync/atomic"
	"time"
)

// room is how many processors Go's scheduler has. Workers under load never give
// theirs back, so each needs one, and the loop and the rest of the program must not
// wait for them. But with many processors the runtime looks for work to move each
// time that the loop waits, which doubles what a quiet daemon takes: so there is
// room under load only.
type room struct {
	base  int           // processors at rest
	crowd chan struct{} // a worker came under load
	wide  atomic.Bool   // there is room
	busy  atomic.Bool   // a worker was under load since the last look
}

// others is how many processors there are beside those of the workers.
const others = 2

// calm is how long the load must have been gone.
const calm = 10 * time.Second

func newRoom() *room {
	return &room{base: runtime.GOMAXPROCS(0), crowd: make(chan struct{}, 1)}
}

// need tells that the caller is under load. It costs a look at a flag that rarely
// changes.
func (r *room) need() {
	if r.busy.Load() {
		return
	}
	r.busy.Store(true)
	select {
	case r.crowd <- struct{}{}:
	default:
	}
}

// keep makes room for so many workers when there is load, and takes it back, until
// ended is closed.
func (r *room) keep(threads func() int, ended <-chan struct{}) {
	t := time.NewTicker(calm)
	defer t.Stop()
	for {
		select {
		case <-r.crowd:
			if n := threads() + others; n > runtime.GOMAXPROCS(0) {
				runtime.GOMAXPROCS(n)
			}
			r.wide.Store(true)
		case <-t.C:
			if !r.busy.Swap(false) && r.wide.Load() {
				r.narrow()
			}
		case <-ended:
			r.narrow()
			return
		}
	}
}

func (r *room) narrow() {
	r.wide.Store(false)
	if runtime.GOMAXPROCS(0) > r.base {
		runtime.GOMAXPROCS(r.base)
	}
}
