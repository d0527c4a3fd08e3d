package plugin

import (
	"context"
	"encoding/json"

	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"
)

// Base answers the calls in which a stand-in has no say of its own. Embed it and set the name and version.
type Base struct {
	pulumirpc.UnimplementedResourceProviderServer

	Name    string
	Version string
	Host    *Host

	running context.Context
	stop    context.CancelFunc
}

// NewBase makes the part that every stand-in shares.
func NewBase(name, version string, host *Host) Base {
	running, stop := context.WithCancel(context.Background())
	return Base{Name: name, Version: version, Host: host, running: running, stop: stop}
}

// Context is the request's context, ended early when the engine asks the plugin to cancel.
func (b *Base) Context(request context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(request)
	stop := context.AfterFunc(b.running, cancel)
	return ctx, func() { stop(); cancel() }
}

// Cancel ends every operation under way.
func (b *Base) Cancel(context.Context, *emptypb.Empty) (*emptypb.Empty, error) {
	b.stop()
	return &emptypb.Empty{}, nil
}

// GetPluginInfo names the version of the real plugin that this one stands in for.
func (b *Base) GetPluginInfo(context.Context, *emptypb.Empty) (*pulumirpc.PluginInfo, error) {
	return &pulumirpc.PluginInfo{Version: b.Version}, nil
}

// GetSchema returns an empty package: the languages' SDKs carry the real schema.
func (b *Base) GetSchema(context.Context, *pulumirpc.GetSchemaRequest) (*pulumirpc.GetSchemaResponse, error) {
	schema, err := json.Marshal(map[string]string{"name": b.Name, "version": b.Version})
	if err != nil {
		return nil, err
	}
	return &pulumirpc.GetSchemaResponse{Schema: string(schema)}, nil
}

// Construct refuses component resources.
func (b *Base) Construct(_ context.Context, request *pulumirpc.ConstructRequest) (*pulumirpc.ConstructResponse, error) {
	return nil, b.Unsupported("the component " + request.GetType())
}

// Call refuses methods.
func (b *Base) Call(_ context.Context, request *pulumirpc.CallRequest) (*pulumirpc.CallResponse, error) {
	return nil, b.Unsupported("the method " + request.GetTok())
}

// Invoke refuses functions.
func (b *Base) Invoke(_ context.Context, request *pulumirpc.InvokeRequest) (*pulumirpc.InvokeResponse, error) {
	return nil, b.Unsupported("the function " + request.GetTok())
}

// Unsupported is the error for anything that only the real plugin does.
func (b *Base) Unsupported(what string) error {
	return status.Errorf(codes.Unimplemented,
		"the lab's stand-in for Pulumi's %s plugin does not support %s; it needs the real plugin", b.Name, what)
}
