package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"

	"argus.dev/lab/providers/internal/plugin"
)

// killGrace is how long a cancelled command has to end by itself.
const killGrace = 5 * time.Second

// localCommand is command:local:Command.
type localCommand struct{}

func (localCommand) check(inputs resource.PropertyMap) []*pulumirpc.CheckFailure {
	names := append([]string{"dir", "interpreter", "assetPaths", "archivePaths"}, commandInputs...)
	failures := checkNames(inputs, names...)
	failures = append(failures, checkText(inputs, "create", "update", "delete", "stdin", "dir")...)
	for _, name := range []string{"assetPaths", "archivePaths"} {
		if value := plugin.Plain(inputs[resource.PropertyKey(name)]); !value.IsNull() {
			failures = append(failures, failure(name, "%s needs Pulumi's own Command plugin", name))
		}
	}
	return append(failures, checkLogging(inputs)...)
}

func (localCommand) replaces(change plugin.Change, inputs resource.PropertyMap) bool {
	return replacesOnTriggers(change, inputs)
}

func (localCommand) computed() []resource.PropertyKey {
	return []resource.PropertyKey{stdoutOutput, stderrOutput}
}

func (localCommand) create(ctx context.Context, call call) (resource.PropertyMap, error) {
	return runLocal(ctx, call, "create")
}

func (localCommand) update(ctx context.Context, call call) (resource.PropertyMap, error) {
	return runLocal(ctx, call, "update", "create")
}

func (localCommand) delete(ctx context.Context, call call) error {
	_, err := runLocal(ctx, call, "delete")
	return err
}

// runLocal runs the first command that is given on this machine, in a process group of its own.
func runLocal(ctx context.Context, call call, keys ...resource.PropertyKey) (resource.PropertyMap, error) {
	script, ok := command(call.inputs, keys...)
	if !ok {
		return keepOutputs(call), nil
	}
	interpreter := []string{"/bin/sh", "-c"}
	if value, ok := call.inputs["interpreter"]; ok && value.IsArray() && len(value.ArrayValue()) > 0 {
		interpreter = nil
		for _, word := range value.ArrayValue() {
			interpreter = append(interpreter, word.StringValue())
		}
	}
	arguments := append(append([]string{}, interpreter[1:]...), script)
	process := exec.CommandContext(ctx, interpreter[0], arguments...) //nolint:gosec // running it is the purpose
	process.Dir, _ = plugin.String(call.inputs, "dir")
	process.Env = os.Environ()
	for _, variables := range []map[string]string{previousOutput(call), environment(call.inputs)} {
		for name, value := range variables {
			process.Env = append(process.Env, name+"="+value)
		}
	}
	if stdin, ok := plugin.String(call.inputs, stdinInput); ok {
		process.Stdin = strings.NewReader(stdin)
	}
	captured := newCapture(call)
	process.Stdout, process.Stderr = captured.outWriter, captured.errWriter
	process.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	process.Cancel = func() error { return syscall.Kill(-process.Process.Pid, syscall.SIGTERM) }
	process.WaitDelay = killGrace
	if err := process.Run(); err != nil {
		if ctx.Err() != nil {
			if process.Process != nil {
				_ = syscall.Kill(-process.Process.Pid, syscall.SIGKILL)
			}
			return nil, captured.failure("the command was stopped", context.Cause(ctx))
		}
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			return nil, captured.failure("the command failed", exit)
		}
		return nil, fmt.Errorf("start %s: %w", interpreter[0], err)
	}
	return captured.outputs(), nil
}
