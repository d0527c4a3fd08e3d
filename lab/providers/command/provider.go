package main

import (
	"context"
	"fmt"
	"time"

	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"

	"argus.dev/lab/providers/internal/plugin"
)

// provider serves the resources of the command package.
type provider struct {
	plugin.Base
}

// kind is one resource type of the package.
type kind interface {
	// check lists what is wrong with the inputs, and fills in their defaults.
	check(inputs resource.PropertyMap) []*pulumirpc.CheckFailure
	// replaces says whether the change asks for a new resource rather than an update.
	replaces(change plugin.Change, inputs resource.PropertyMap) bool
	// create, update and delete do the work and return the resource's own outputs.
	create(ctx context.Context, call call) (resource.PropertyMap, error)
	update(ctx context.Context, call call) (resource.PropertyMap, error)
	delete(ctx context.Context, call call) error
	// computed names the outputs that only the work itself can tell.
	computed() []resource.PropertyKey
}

// call is what one operation works on.
type call struct {
	urn    string
	inputs resource.PropertyMap // without secret wrappers
	old    resource.PropertyMap // the outputs of the last run, without secret wrappers
	host   *plugin.Host
}

var kinds = map[string]kind{
	"command:local:Command":       localCommand{},
	"command:remote:Command":      remoteCommand{},
	"command:remote:CopyToRemote": copyToRemote{},
}

func (p *provider) kind(urn string) (kind, error) {
	token := string(resource.URN(urn).Type())
	if found, ok := kinds[token]; ok {
		return found, nil
	}
	return nil, p.Unsupported("the resource type " + token)
}

// CheckConfig accepts the provider's configuration: it has none.
func (p *provider) CheckConfig(_ context.Context, request *pulumirpc.CheckRequest) (*pulumirpc.CheckResponse, error) {
	return &pulumirpc.CheckResponse{Inputs: request.GetNews()}, nil
}

// DiffConfig finds no difference: there is no configuration.
func (p *provider) DiffConfig(context.Context, *pulumirpc.DiffRequest) (*pulumirpc.DiffResponse, error) {
	return &pulumirpc.DiffResponse{Changes: pulumirpc.DiffResponse_DIFF_NONE}, nil
}

// Configure tells the engine what this plugin understands.
func (p *provider) Configure(context.Context, *pulumirpc.ConfigureRequest) (*pulumirpc.ConfigureResponse, error) {
	return &pulumirpc.ConfigureResponse{AcceptSecrets: true, SupportsPreview: true, AcceptResources: true}, nil
}

// Attach accepts an engine that did not start the plugin.
func (p *provider) Attach(context.Context, *pulumirpc.PluginAttach) (*emptypb.Empty, error) {
	return &emptypb.Empty{}, nil
}

// Check validates a resource's inputs.
func (p *provider) Check(_ context.Context, request *pulumirpc.CheckRequest) (*pulumirpc.CheckResponse, error) {
	kind, err := p.kind(request.GetUrn())
	if err != nil {
		return nil, err
	}
	inputs, err := plugin.Decode(request.GetNews())
	if err != nil {
		return nil, err
	}
	failures := kind.check(inputs)
	if connection, ok := inputs["connection"]; ok {
		inputs["connection"] = plugin.Secret(connection)
	}
	encoded, err := plugin.Encode(inputs)
	if err != nil {
		return nil, err
	}
	return &pulumirpc.CheckResponse{Inputs: encoded, Failures: failures}, nil
}

// Diff compares the new inputs with the ones of the last run.
func (p *provider) Diff(_ context.Context, request *pulumirpc.DiffRequest) (*pulumirpc.DiffResponse, error) {
	kind, err := p.kind(request.GetUrn())
	if err != nil {
		return nil, err
	}
	old, err := plugin.Decode(request.GetOldInputs())
	if err != nil {
		return nil, err
	}
	inputs, err := plugin.Decode(request.GetNews())
	if err != nil {
		return nil, err
	}
	return plugin.DiffResponse(plugin.Differences(old, inputs), func(change plugin.Change) bool {
		return kind.replaces(change, inputs)
	}), nil
}

// Create runs the resource's create command.
func (p *provider) Create(ctx context.Context, request *pulumirpc.CreateRequest) (*pulumirpc.CreateResponse, error) {
	kind, err := p.kind(request.GetUrn())
	if err != nil {
		return nil, err
	}
	inputs, err := plugin.Decode(request.GetProperties())
	if err != nil {
		return nil, err
	}
	var outputs resource.PropertyMap
	if !request.GetPreview() {
		ctx, cancel := p.limited(ctx, request.GetTimeout())
		defer cancel()
		outputs, err = kind.create(ctx, p.call(request.GetUrn(), inputs, nil))
		if err != nil {
			return nil, err
		}
	}
	id, err := resource.NewUniqueHex(string(resource.URN(request.GetUrn()).Name()), 8, 0)
	if err != nil {
		return nil, fmt.Errorf("make an id: %w", err)
	}
	encoded, err := plugin.Encode(state(kind, inputs, outputs))
	if err != nil {
		return nil, err
	}
	return &pulumirpc.CreateResponse{Id: id, Properties: encoded}, nil
}

// Update runs the resource's update command, or its create command where it has no other.
func (p *provider) Update(ctx context.Context, request *pulumirpc.UpdateRequest) (*pulumirpc.UpdateResponse, error) {
	kind, err := p.kind(request.GetUrn())
	if err != nil {
		return nil, err
	}
	inputs, err := plugin.Decode(request.GetNews())
	if err != nil {
		return nil, err
	}
	old, err := plugin.Decode(request.GetOlds())
	if err != nil {
		return nil, err
	}
	var outputs resource.PropertyMap
	if !request.GetPreview() {
		ctx, cancel := p.limited(ctx, request.GetTimeout())
		defer cancel()
		outputs, err = kind.update(ctx, p.call(request.GetUrn(), inputs, old))
		if err != nil {
			return nil, err
		}
	}
	encoded, err := plugin.Encode(state(kind, inputs, outputs))
	if err != nil {
		return nil, err
	}
	return &pulumirpc.UpdateResponse{Properties: encoded}, nil
}

// Delete runs the resource's delete command.
func (p *provider) Delete(ctx context.Context, request *pulumirpc.DeleteRequest) (*emptypb.Empty, error) {
	kind, err := p.kind(request.GetUrn())
	if err != nil {
		return nil, err
	}
	old, err := plugin.Decode(request.GetProperties())
	if err != nil {
		return nil, err
	}
	ctx, cancel := p.limited(ctx, request.GetTimeout())
	defer cancel()
	// The state holds the inputs of the last run beside its outputs.
	if err := kind.delete(ctx, p.call(request.GetUrn(), old, old)); err != nil {
		return nil, err
	}
	return &emptypb.Empty{}, nil
}

// Read returns what is known: a command has run, and nothing outside says more of it.
func (p *provider) Read(_ context.Context, request *pulumirpc.ReadRequest) (*pulumirpc.ReadResponse, error) {
	return &pulumirpc.ReadResponse{
		Id: request.GetId(), Properties: request.GetProperties(), Inputs: request.GetInputs(),
	}, nil
}

// limited ends the operation when its time is over, the engine cancels, or the engine is gone.
func (p *provider) limited(request context.Context, seconds float64) (context.Context, context.CancelFunc) {
	ctx, cancel := p.Context(request)
	if seconds <= 0 {
		return ctx, cancel
	}
	timed, stop := context.WithTimeoutCause(ctx, time.Duration(seconds*float64(time.Second)),
		fmt.Errorf("not done within the resource's timeout of %g s", seconds))
	return timed, func() { stop(); cancel() }
}

func (p *provider) call(urn string, inputs, old resource.PropertyMap) call {
	return call{urn: urn, inputs: plugin.PlainMap(inputs), old: plugin.PlainMap(old), host: p.Host}
}

// state is a resource's new state: its inputs, and its outputs, unknown in a preview. What a command prints is secret
// as soon as one of the inputs is, the way in (connection) apart.
func state(kind kind, inputs, outputs resource.PropertyMap) resource.PropertyMap {
	state := inputs.Copy()
	secret := false
	for key, value := range inputs {
		secret = secret || (key != "connection" && value.ContainsSecrets())
	}
	for _, key := range kind.computed() {
		value := resource.MakeComputed(resource.NewProperty(""))
		if outputs != nil {
			value = outputs[key]
		}
		if secret {
			value = plugin.Secret(value)
		}
		state[key] = value
	}
	return state
}
