// SPDX-License-Identifier: Apache-2.0

// Package cluster runs a real Kubernetes control plane, fake kubelets and kubemarlad as processes
// of this machine, on loopback. It knows how to start, stop and watch them; what must hold then is
// in the package scenarios.
package cluster

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// Process is one that this program started. It is only ever ended by its pid.
type Process struct {
	Name string
	Log  string // its standard output and error

	cmd  *exec.Cmd
	gone chan struct{}
	err  error // of Wait; to be read after gone
}

// A child dies with the thread that started it (PR_SET_PDEATHSIG), so that no process outlives this
// program, however it ends. That thread therefore lives as long as the program.
var starter = make(chan func())

func init() {
	go func() {
		runtime.LockOSThread()
		for f := range starter {
			f()
		}
	}()
}

// Start runs a program, its output appended to dir/NAME.log.
func Start(dir, name, program string, args []string, env ...string) (*Process, error) {
	p := &Process{Name: name, Log: filepath.Join(dir, name+".log"), gone: make(chan struct{})}
	log, err := os.OpenFile(p.Log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	fmt.Fprintf(log, "--- %s %s\n", program, strings.Join(args, " "))
	p.cmd = exec.Command(program, args...)
	p.cmd.Env = append(os.Environ(), env...)
	p.cmd.Stdout, p.cmd.Stderr = log, log
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	started := make(chan error)
	starter <- func() { started <- p.cmd.Start() }
	if err := <-started; err != nil {
		return nil, err
	}
	go func() {
		p.err = p.cmd.Wait()
		close(p.gone)
	}()
	return p, nil
}

// Pid is the process's id.
func (p *Process) Pid() int { return p.cmd.Process.Pid }

// Gone tells whether the process has ended.
func (p *Process) Gone() bool {
	select {
	case <-p.gone:
		return true
	default:
		return false
	}
}

// Signal sends one to the process.
func (p *Process) Signal(s syscall.Signal) error { return p.cmd.Process.Signal(s) }

// Stop asks the process to end and kills it after the given time. It returns the exit code, -1
// after a signal.
func (p *Process) Stop(patience time.Duration) int {
	if p == nil {
		return 0
	}
	_ = p.Signal(syscall.SIGTERM) // it may be gone already
	select {
	case <-p.gone:
	case <-time.After(patience):
		p.Kill()
	}
	return p.cmd.ProcessState.ExitCode()
}

// Kill ends the process at once, and waits until it is gone.
func (p *Process) Kill() {
	_ = p.Signal(syscall.SIGKILL)
	<-p.gone
}

// Tail is the end of the process's log.
func (p *Process) Tail(lines int) string { return tail(p.Log, lines) }

func tail(path string, lines int) string {
	f, err := os.Open(path)
	if err != nil {
		return err.Error()
	}
	defer f.Close()
	const most = 64 << 10
	if end, err := f.Seek(0, io.SeekEnd); err == nil && end > most {
		_, _ = f.Seek(-most, io.SeekEnd)
	} else {
		_, _ = f.Seek(0, io.SeekStart)
	}
	var kept []string
	for s := bufio.NewScanner(f); s.Scan(); {
		kept = append(kept, fmt.Sprintf("%.300s", s.Text()))
	}
	if len(kept) > lines {
		kept = kept[len(kept)-lines:]
	}
	return strings.Join(kept, "\n")
}

// Ports below the range that the kernel hands out by itself: nobody is given one of them by chance
// between our look and the use.
const firstPort, lastPort = 20000, 29999

var nextPort = firstPort + os.Getpid()%(lastPort-firstPort)

// FreePort returns a TCP port of 127.0.0.1 that nobody listens on.
func FreePort() (int, error) {
	for range lastPort - firstPort {
		port := nextPort
		if nextPort++; nextPort > lastPort {
			nextPort = firstPort
		}
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			continue
		}
		if err := l.Close(); err != nil {
			return 0, err
		}
		return port, nil
	}
	return 0, errors.New("no free port on 127.0.0.1")
}

// Until polls what until it is nil, or the deadline is over, or the process that it is about has
// gone (which may be nil).
func Until(deadline time.Duration, p *Process, what func() error) error {
	end := time.Now().Add(deadline)
	for {
		err := what()
		if err == nil {
			return nil
		}
		if p != nil && p.Gone() {
			return fmt.Errorf("%s has ended (%v): %w", p.Name, p.err, err)
		}
		if time.Now().After(end) {
			return fmt.Errorf("not within %v: %w", deadline, err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}
