package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"golang.org/x/crypto/ssh"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"

	"argus.dev/lab/providers/internal/plugin"
)

// remoteCommand is command:remote:Command.
type remoteCommand struct{}

func (remoteCommand) check(inputs resource.PropertyMap) []*pulumirpc.CheckFailure {
	failures := checkNames(inputs, append([]string{"connection"}, commandInputs...)...)
	failures = append(failures, checkText(inputs, "create", "update", "delete", "stdin")...)
	failures = append(failures, checkLogging(inputs)...)
	return append(failures, checkConnection(inputs)...)
}

func (remoteCommand) replaces(change plugin.Change, inputs resource.PropertyMap) bool {
	return replacesOnTriggers(change, inputs)
}

func (remoteCommand) computed() []resource.PropertyKey {
	return []resource.PropertyKey{stdoutOutput, stderrOutput}
}

func (remoteCommand) create(ctx context.Context, call call) (resource.PropertyMap, error) {
	return runRemote(ctx, call, "create")
}

func (remoteCommand) update(ctx context.Context, call call) (resource.PropertyMap, error) {
	return runRemote(ctx, call, "update", "create")
}

func (remoteCommand) delete(ctx context.Context, call call) error {
	_, err := runRemote(ctx, call, "delete")
	return err
}

// runRemote runs the first command that is given on the host.
func runRemote(ctx context.Context, call call, keys ...resource.PropertyKey) (resource.PropertyMap, error) {
	script, ok := command(call.inputs, keys...)
	if !ok {
		return keepOutputs(call), nil
	}
	var stdin io.Reader
	if text, ok := plugin.String(call.inputs, stdinInput); ok && text != "" {
		stdin = strings.NewReader(text)
	}
	return execute(ctx, call, script, stdin)
}

// execute connects to the call's host and runs the script there.
func execute(ctx context.Context, call call, script string, stdin io.Reader) (resource.PropertyMap, error) {
	target := newConnection(call.inputs[connectionInput].ObjectValue())
	client, err := target.dial(ctx, func(message string) { call.host.Status(call.urn, message) })
	if err != nil {
		return nil, err
	}
	defer func() { _ = client.Close() }()
	watching, stopWatching := context.WithCancel(ctx)
	defer stopWatching()
	go keepAlive(watching, client)

	session, err := client.NewSession()
	if err != nil {
		return nil, fmt.Errorf("open a session on %s: %w", target.host, err)
	}
	defer func() { _ = session.Close() }()
	if err := setEnvironment(session, call); err != nil {
		return nil, fmt.Errorf("%s: %w", target.host, err)
	}
	captured := newCapture(call)
	session.Stdin, session.Stdout, session.Stderr = stdin, captured.outWriter, captured.errWriter
	if err := session.Start(script); err != nil {
		return nil, fmt.Errorf("start the command on %s: %w", target.host, err)
	}
	ended := make(chan error, 1)
	go func() { ended <- session.Wait() }()
	select {
	case err = <-ended:
	case <-ctx.Done():
		stopRemote(session, ended)
		_ = client.Close()
		return nil, captured.failure("the command on "+target.host+" was stopped", context.Cause(ctx))
	}
	if err != nil {
		return nil, captured.failure("the command on "+target.host+" failed", describe(err))
	}
	return captured.outputs(), nil
}

// setEnvironment passes the variables on. sshd takes only those that its AcceptEnv names: the user's own must arrive,
// the output of the last run may not.
func setEnvironment(session *ssh.Session, call call) error {
	for name, value := range environment(call.inputs) {
		if err := session.Setenv(name, value); err != nil {
			return fmt.Errorf("the SSH server does not accept the environment variable %s (see AcceptEnv in "+
				"sshd_config, or write 'NAME=value command'): %w", name, err)
		}
	}
	for name, value := range previousOutput(call) {
		if err := session.Setenv(name, value); err != nil {
			call.host.Debug(call.urn, fmt.Sprintf("the SSH server does not accept %s: %v", name, err))
		}
	}
	return nil
}

// stopRemote asks the command to end, then makes it.
func stopRemote(session *ssh.Session, ended <-chan error) {
	for _, signal := range []ssh.Signal{ssh.SIGTERM, ssh.SIGKILL} {
		if err := session.Signal(signal); err != nil {
			return
		}
		select {
		case <-ended:
			return
		case <-time.After(killGrace):
		}
	}
}

// describe turns the ways in which a session can end into words.
func describe(err error) error {
	var exit *ssh.ExitError
	var missing *ssh.ExitMissingError
	switch {
	case errors.As(err, &exit) && exit.Signal() != "":
		return fmt.Errorf("it was ended by signal %s", exit.Signal())
	case errors.As(err, &exit):
		return fmt.Errorf("exit status %d", exit.ExitStatus())
	case errors.As(err, &missing):
		return errors.New("the connection was lost before it ended")
	}
	return err
}
