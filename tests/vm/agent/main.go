// SPDX-License-Identifier: Apache-2.0

// Command agent does in a virtual machine what a test outside asks for, over a
// virtio serial port: so it needs no network, whose loss is one of the tests,
// and no right clock. A request is a line of JSON, and so is the answer.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"time"

	"golang.org/x/sys/unix"

	"foliot/tests/vm/wire"
)

const port = "/dev/virtio-ports/foliot"

func main() {
	for {
		if err := serve(); err != nil {
			fmt.Fprintln(os.Stderr, "agent:", err)
		}
		// Nobody is connected to the other end.
		time.Sleep(100 * time.Millisecond)
	}
}

func serve() error {
	f, err := os.OpenFile(port, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	in := bufio.NewReader(f)
	for {
		line, err := in.ReadBytes('\n')
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		var q wire.Request
		if json.Unmarshal(line, &q) != nil {
			continue // the rest of a line from before a reboot
		}
		b, err := json.Marshal(answer(&q))
		if err != nil {
			return err
		}
		if _, err := f.Write(append(b, '\n')); err != nil {
			return err
		}
	}
}

func answer(q *wire.Request) *wire.Reply {
	r := &wire.Reply{ID: q.ID}
	switch q.Do {
	case wire.Run:
		run(q, r)
	case wire.Clock:
		clock(&unix.Timex{}, r)
	case wire.Rate:
		tick := 10000 + int64(q.PPM/100)
		clock(&unix.Timex{
			Modes: unix.ADJ_FREQUENCY | unix.ADJ_TICK, Tick: tick,
			Freq: int64((q.PPM - float64(tick-10000)*100) * (1 << 16)),
		}, r)
	case wire.Shift:
		ns := int64(q.Seconds * 1e9)
		sec, rest := ns/1e9, ns%1e9
		if rest < 0 {
			sec, rest = sec-1, rest+1e9
		}
		clock(&unix.Timex{Modes: unix.ADJ_SETOFFSET | unix.ADJ_NANO, Time: unix.Timeval{Sec: sec, Usec: rest}}, r)
	default:
		r.Error = "unknown request " + q.Do
	}
	return r
}

func run(q *wire.Request, r *wire.Reply) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Duration(q.Seconds*float64(time.Second)))
	defer cancel()
	cmd := exec.CommandContext(ctx, "/bin/sh", "-c", q.Script)
	cmd.WaitDelay = time.Second
	out, err := cmd.CombinedOutput()
	r.Out = string(out)
	if cmd.ProcessState != nil {
		r.Code = cmd.ProcessState.ExitCode()
	} else if err != nil {
		r.Error = err.Error()
	}
}

func clock(tx *unix.Timex, r *wire.Reply) {
	state, err := unix.Adjtimex(tx)
	if err != nil {
		r.Error = err.Error()
		return
	}
	var wall, raw unix.Timespec
	unix.ClockGettime(unix.CLOCK_REALTIME, &wall)
	unix.ClockGettime(unix.CLOCK_MONOTONIC_RAW, &raw)
	r.Clock = wire.State{
		Wall: wall.Nano(), Raw: raw.Nano(), State: state, Status: int(tx.Status), TAI: int(tx.Tai),
		MaxError: float64(tx.Maxerror) / 1e6, EstError: float64(tx.Esterror) / 1e6,
		PPM: float64(tx.Tick-10000)*100 + float64(tx.Freq)/(1<<16),
	}
}
