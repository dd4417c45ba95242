// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"time"
)

// Traces are the counters of nodes: one synthetic `pcm -csv` file per node, which kubemarlad
// replays, and to which rows are appended as time goes on. What a node's rows say from now on can
// be changed; a whole window of them at once makes the change visible at once.
type Traces struct {
	dir, generator string

	lock   sync.Mutex
	levels map[string]*level
	nodes  map[string]*trace
	err    error // of the appending thread
}

// level is what one kind of interference looks like: a header and a stock of rows without their
// times.
type level struct {
	header []byte
	rows   [][]byte
}

type trace struct {
	file  string
	level *level
	turn  int // of the level's rows
	at    time.Time
	held  bool
}

const (
	rowSeconds = 5 // the model's bin
	windowRows = 60/rowSeconds + 2
	stockRows  = 240
)

// NewTraces writes into dir, with the gen_trace of tests/fixtures.
func NewTraces(dir, generator string) (*Traces, error) {
	return &Traces{dir: dir, generator: generator, levels: map[string]*level{},
		nodes: map[string]*trace{}}, os.MkdirAll(dir, 0o755)
}

func (t *Traces) level(kind string) (*level, error) {
	if l := t.levels[kind]; l != nil {
		return l, nil
	}
	out, err := exec.Command(t.generator, "--cpus", "8", "--rps", "1000", "--victim-cpus", "0-2",
		"--interval", fmt.Sprint(rowSeconds), "--seconds", fmt.Sprint(stockRows*rowSeconds),
		"--seed", "5", "--interference", kind).Output()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", t.generator, err)
	}
	lines := bytes.SplitAfter(bytes.TrimSuffix(out, []byte("\n")), []byte("\n"))
	l := &level{header: append(append([]byte{}, lines[0]...), lines[1]...)}
	// PCM's first and last rows are odd, and so are the generator's
	for _, line := range lines[3 : len(lines)-1] {
		fields := bytes.SplitN(line, []byte(","), 3)
		if len(fields) != 3 {
			return nil, fmt.Errorf("%s: odd row %q", t.generator, line)
		}
		l.rows = append(l.rows, fields[2])
	}
	t.levels[kind] = l
	return l, nil
}

// append writes the node's next rows, at once.
func (tr *trace) append(rows int) error {
	var b bytes.Buffer
	for range rows {
		tr.at = tr.at.Add(rowSeconds * time.Second)
		b.WriteString(tr.at.Format("2006-01-02,15:04:05.000,"))
		b.Write(tr.level.rows[tr.turn%len(tr.level.rows)])
		tr.turn++
	}
	f, err := os.OpenFile(tr.file, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	if _, err := f.Write(b.Bytes()); err != nil {
		f.Close()
		return err
	}
	return f.Close()
}

// Set says what the node suffers from now on: `none`, `l3:2` and so on, as gen_trace has them. The
// whole window becomes that at once. A node that is new begins with it.
func (t *Traces) Set(node, kind string) error {
	t.lock.Lock()
	defer t.lock.Unlock()
	l, err := t.level(kind)
	if err != nil {
		return err
	}
	tr := t.nodes[node]
	if tr == nil {
		tr = &trace{file: t.File(node), turn: 7 * len(t.nodes),
			at: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
		if err := os.WriteFile(tr.file, l.header, 0o644); err != nil {
			return err
		}
		t.nodes[node] = tr
	}
	tr.level = l
	return tr.append(windowRows)
}

// File is where the node's trace is.
func (t *Traces) File(node string) string { return filepath.Join(t.dir, node+".csv") }

// Hold ends the flow of rows for a node (its data then grow old), or begins it again.
func (t *Traces) Hold(node string, held bool) {
	t.lock.Lock()
	defer t.lock.Unlock()
	if tr := t.nodes[node]; tr != nil {
		tr.held = held
	}
}

// Run appends a row to each node's trace every second, until ctx ends.
func (t *Traces) Run(ctx context.Context) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		t.lock.Lock()
		for _, tr := range t.nodes {
			if !tr.held && t.err == nil {
				t.err = tr.append(1)
			}
		}
		t.lock.Unlock()
	}
}

// Err is what went wrong while appending.
func (t *Traces) Err() error {
	t.lock.Lock()
	defer t.lock.Unlock()
	return t.err
}
