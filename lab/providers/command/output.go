package main

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"sync"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"

	"argus.dev/lab/providers/internal/plugin"
)

// capture gathers what a command prints, and passes it on to the engine line by line as it comes.
type capture struct {
	stdout, stderr buffer
	both           buffer
	lines          []*lineWriter
	outWriter      io.Writer
	errWriter      io.Writer
}

// validLogging says whether the word is one of the schema's choices.
func validLogging(logging string) bool {
	switch logging {
	case "stdout", "stderr", "stdoutAndStderr", "none":
		return true
	}
	return false
}

// newCapture prepares to gather the output of the call's command.
func newCapture(call call) *capture {
	logging, ok := plugin.String(call.inputs, loggingInput)
	if !ok {
		logging = "stdoutAndStderr"
	}
	c := &capture{}
	out := []io.Writer{&c.stdout, &c.both}
	err := []io.Writer{&c.stderr, &c.both}
	if logging == "stdout" || logging == "stdoutAndStderr" {
		out = append(out, c.log(call))
	}
	if logging == "stderr" || logging == "stdoutAndStderr" {
		err = append(err, c.log(call))
	}
	c.outWriter, c.errWriter = io.MultiWriter(out...), io.MultiWriter(err...)
	return c
}

func (c *capture) log(call call) *lineWriter {
	writer := &lineWriter{emit: func(line string) { call.host.Info(call.urn, line) }}
	c.lines = append(c.lines, writer)
	return writer
}

// outputs ends the capture and returns what was printed, without the last newline, as the real plugin does.
func (c *capture) outputs() resource.PropertyMap {
	c.flush()
	return resource.PropertyMap{
		stdoutOutput: resource.NewProperty(strings.TrimSuffix(c.stdout.String(), "\n")),
		stderrOutput: resource.NewProperty(strings.TrimSuffix(c.stderr.String(), "\n")),
	}
}

// failure ends the capture and says why the command failed: what it printed, never the script, which may hold secrets.
func (c *capture) failure(what string, err error) error {
	c.flush()
	printed := strings.TrimSpace(c.both.String())
	if printed == "" {
		return fmt.Errorf("%s: %w", what, err)
	}
	return fmt.Errorf("%s: %w:\n%s", what, err, printed)
}

func (c *capture) flush() {
	for _, writer := range c.lines {
		writer.flush()
	}
}

// buffer is a bytes.Buffer that two writers may share.
type buffer struct {
	mutex  sync.Mutex
	buffer bytes.Buffer
}

func (b *buffer) Write(data []byte) (int, error) {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	return b.buffer.Write(data)
}

func (b *buffer) String() string {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	return b.buffer.String()
}

// lineWriter hands over whole lines.
type lineWriter struct {
	emit    func(string)
	mutex   sync.Mutex
	pending []byte
}

func (w *lineWriter) Write(data []byte) (int, error) {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	w.pending = append(w.pending, data...)
	for {
		end := bytes.IndexByte(w.pending, '\n')
		if end < 0 {
			return len(data), nil
		}
		w.say(w.pending[:end])
		w.pending = w.pending[end+1:]
	}
}

func (w *lineWriter) flush() {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	w.say(w.pending)
	w.pending = nil
}

func (w *lineWriter) say(line []byte) {
	if text := strings.TrimRight(string(line), "\r"); text != "" {
		w.emit(text)
	}
}
