// Package plugin holds what the stand-ins share: the gRPC life of a Pulumi resource plugin, log messages to the
// engine, and the translation of property maps to and from the wire.
package plugin

import (
	"context"
	"fmt"

	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/pulumi/pulumi/sdk/v3/go/common/util/rpcutil"
)

// Host is the Pulumi engine that started this plugin, as a place to send messages to.
type Host struct {
	engine pulumirpc.EngineClient
}

// dialHost connects to the engine's log service; an empty address gives a Host that says nothing.
func dialHost(address string) (*Host, error) {
	if address == "" {
		return &Host{}, nil
	}
	connection, err := grpc.NewClient(
		address, grpc.WithTransportCredentials(insecure.NewCredentials()), rpcutil.GrpcChannelOptions())
	if err != nil {
		return nil, fmt.Errorf("connect to the Pulumi engine at %s: %w", address, err)
	}
	return &Host{engine: pulumirpc.NewEngineClient(connection)}, nil
}

// Status shows a passing line beside the resource; it is not kept in the log.
func (h *Host) Status(urn, message string) {
	h.log(pulumirpc.LogSeverity_INFO, urn, message, true)
}

// Debug, Info and Warning log a line for the resource.
func (h *Host) Debug(urn, message string) { h.log(pulumirpc.LogSeverity_DEBUG, urn, message, false) }

// Info logs a line for the resource.
func (h *Host) Info(urn, message string) { h.log(pulumirpc.LogSeverity_INFO, urn, message, false) }

// Warning logs a warning for the resource.
func (h *Host) Warning(urn, message string) {
	h.log(pulumirpc.LogSeverity_WARNING, urn, message, false)
}

// log sends best-effort: a message that cannot be delivered must not fail the operation it speaks of.
func (h *Host) log(severity pulumirpc.LogSeverity, urn, message string, ephemeral bool) {
	if h == nil || h.engine == nil {
		return
	}
	_, _ = h.engine.Log(context.Background(), &pulumirpc.LogRequest{
		Severity: severity, Urn: urn, Message: message, Ephemeral: ephemeral,
	})
}
