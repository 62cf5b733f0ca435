// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"
)

// browser is a Chromium that is told what to do over a pair of pipes: messages
// of its DevTools protocol, each ended by a zero octet.
type browser struct {
	cmd     *exec.Cmd
	to      io.WriteCloser
	profile string
	session string // of the page

	mu      sync.Mutex
	next    int
	waiting map[int]chan message
	events  []message
	ended   chan struct{}
}

type message struct {
	ID        int             `json:"id,omitempty"`
	Method    string          `json:"method,omitempty"`
	Params    json.RawMessage `json:"params,omitempty"`
	Result    json.RawMessage `json:"result,omitempty"`
	SessionID string          `json:"sessionId,omitempty"`
	Error     *struct {
		Message string `json:"message"`
	} `json:"error,omitempty"`
}

// open starts the browser with an empty page and a profile of its own.
func open(ctx context.Context, path string) (*browser, error) {
	profile, err := os.MkdirTemp("", "foliot-page-")
	if err != nil {
		return nil, err
	}
	theirIn, in, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	out, theirOut, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	b := &browser{to: in, profile: profile, waiting: map[int]chan message{}, ended: make(chan struct{})}
	b.cmd = exec.CommandContext(ctx, path, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
		"--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-default-apps",
		"--hide-scrollbars", "--force-color-profile=srgb", "--remote-debugging-pipe", "--user-data-dir="+profile, "about:blank")
	b.cmd.ExtraFiles = []*os.File{theirIn, theirOut} // 3 and 4, as Chromium wants them
	b.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	if err := b.cmd.Start(); err != nil {
		os.RemoveAll(profile)
		return nil, err
	}
	theirIn.Close()
	theirOut.Close()
	go b.listen(out)
	return b, b.attach()
}

// close ends the browser and removes its profile.
func (b *browser) close() {
	b.to.Close()
	syscall.Kill(-b.cmd.Process.Pid, syscall.SIGKILL) // its own group
	b.cmd.Wait()
	os.RemoveAll(b.profile)
}

// listen hands out answers and keeps events.
func (b *browser) listen(from io.Reader) {
	defer close(b.ended)
	in := bufio.NewReader(from)
	for {
		raw, err := in.ReadBytes(0)
		if err != nil {
			return
		}
		var m message
		if json.Unmarshal(bytes.TrimSuffix(raw, []byte{0}), &m) != nil {
			continue
		}
		b.mu.Lock()
		if c := b.waiting[m.ID]; m.ID != 0 && c != nil {
			delete(b.waiting, m.ID)
			c <- m
		} else if m.Method != "" {
			b.events = append(b.events, m)
		}
		b.mu.Unlock()
	}
}

// call gives a command and decodes its result into result, unless that is nil.
func (b *browser) call(method string, params, result any) error {
	raw, err := json.Marshal(params)
	if err != nil {
		return err
	}
	b.mu.Lock()
	b.next++
	id, answer := b.next, make(chan message, 1)
	b.waiting[id] = answer
	b.mu.Unlock()
	line, err := json.Marshal(message{ID: id, Method: method, Params: raw, SessionID: b.session})
	if err != nil {
		return err
	}
	if _, err := b.to.Write(append(line, 0)); err != nil {
		return err
	}
	select {
	case m := <-answer:
		if m.Error != nil {
			return fmt.Errorf("%s: %s", method, m.Error.Message)
		}
		if result == nil {
			return nil
		}
		return json.Unmarshal(m.Result, result)
	case <-b.ended:
		return errors.New("the browser ended")
	case <-time.After(60 * time.Second):
		return fmt.Errorf("%s: no answer from the browser", method)
	}
}

type object = map[string]any

// attach takes over the page that the browser began with.
func (b *browser) attach() error {
	var targets struct {
		TargetInfos []struct{ TargetID, Type string }
	}
	for begin := time.Now(); time.Since(begin) < 30*time.Second; time.Sleep(100 * time.Millisecond) {
		if err := b.call("Target.getTargets", object{}, &targets); err != nil {
			return err
		}
		for _, t := range targets.TargetInfos {
			if t.Type == "page" {
				return b.use(t.TargetID)
			}
		}
	}
	return errors.New("the browser has no page")
}

func (b *browser) use(target string) error {
	var r struct{ SessionID string }
	if err := b.call("Target.attachToTarget", object{"targetId": target, "flatten": true}, &r); err != nil {
		return err
	}
	b.session = r.SessionID
	for _, domain := range []string{"Page", "Runtime", "Log", "Network", "Accessibility"} {
		if err := b.call(domain+".enable", object{}, nil); err != nil {
			return err
		}
	}
	return nil
}

// evaluate runs an expression in the page.
func (b *browser) evaluate(expression string, result any) error {
	var r struct {
		Result           struct{ Value json.RawMessage }
		ExceptionDetails *struct{ Text string }
	}
	err := b.call("Runtime.evaluate", object{"expression": expression, "returnByValue": true, "awaitPromise": true}, &r)
	if err != nil {
		return err
	}
	if r.ExceptionDetails != nil {
		return fmt.Errorf("%s: %s", expression, r.ExceptionDetails.Text)
	}
	if result == nil {
		return nil
	}
	return json.Unmarshal(r.Result.Value, result)
}

// until waits for an expression to become true.
func (b *browser) until(expression string) (bool, error) {
	for begin := time.Now(); time.Since(begin) < 20*time.Second; time.Sleep(50 * time.Millisecond) {
		var ok bool
		if err := b.evaluate("!!("+expression+")", &ok); err != nil || ok {
			return ok, err
		}
	}
	return false, nil
}

// take returns the events so far and forgets them.
func (b *browser) take() []message {
	b.mu.Lock()
	defer b.mu.Unlock()
	list := b.events
	b.events = nil
	return list
}
