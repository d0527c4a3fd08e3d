package main

import (
	"context"
	"fmt"
	"time"

	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/structpb"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/common/util/rpcutil/rpcerror"

	"argus.dev/lab/providers/internal/plugin"
)

// Create applies a new object and waits until it is ready. A preview contacts no cluster.
func (p *provider) Create(ctx context.Context, request *pulumirpc.CreateRequest) (*pulumirpc.CreateResponse, error) {
	inputs, err := plugin.Decode(request.GetProperties())
	if err != nil {
		return nil, err
	}
	gvk, err := p.kind(request.GetUrn(), inputs)
	if err != nil {
		return nil, err
	}
	content := object(inputs)
	content.SetGroupVersionKind(gvk)
	if request.GetPreview() {
		encoded, err := plugin.Encode(foreseen(inputs))
		if err != nil {
			return nil, err
		}
		return &pulumirpc.CreateResponse{Id: "", Properties: encoded}, nil
	}
	cluster, err := p.connect()
	if err != nil {
		return nil, err
	}
	ctx, cancel := p.limited(ctx, timeout(content, request.GetTimeout()))
	defer cancel()
	application := p.application(request.GetUrn(), content, inputs, nil)
	live, taken, err := cluster.create(ctx, application, p.settings.upsert)
	if err != nil {
		return nil, err
	}
	if taken {
		p.mutex.Lock()
		p.taken[live.GetUID()] = true
		p.mutex.Unlock()
	}
	live, waitErr := cluster.await(ctx, live, application.say)
	encoded, err := plugin.Encode(p.state(live, inputs, application.manager))
	if err != nil {
		return nil, err
	}
	if waitErr != nil {
		return nil, unready(id(live), encoded, request.GetProperties(), waitErr)
	}
	return &pulumirpc.CreateResponse{Id: id(live), Properties: encoded}, nil
}

// Update applies the object as it should be now and waits until it is ready. A preview contacts no cluster.
func (p *provider) Update(ctx context.Context, request *pulumirpc.UpdateRequest) (*pulumirpc.UpdateResponse, error) {
	inputs, err := plugin.Decode(request.GetNews())
	if err != nil {
		return nil, err
	}
	old, err := plugin.Decode(request.GetOlds())
	if err != nil {
		return nil, err
	}
	gvk, err := p.kind(request.GetUrn(), inputs)
	if err != nil {
		return nil, err
	}
	content := object(inputs)
	content.SetGroupVersionKind(gvk)
	if request.GetPreview() {
		encoded, err := plugin.Encode(overlay(old, inputs))
		if err != nil {
			return nil, err
		}
		return &pulumirpc.UpdateResponse{Properties: encoded}, nil
	}
	cluster, err := p.connect()
	if err != nil {
		return nil, err
	}
	ctx, cancel := p.limited(ctx, timeout(content, request.GetTimeout()))
	defer cancel()
	application := p.application(request.GetUrn(), content, inputs, old)
	for _, text := range request.GetIgnoreChanges() {
		if path, err := resource.ParsePropertyPath(text); err == nil {
			application.ignored = append(application.ignored, path)
		}
	}
	live, err := cluster.apply(ctx, application)
	if err != nil {
		if unreachable(err) && p.settings.skipUpdateUnreachable {
			p.Host.Warning(request.GetUrn(), "the cluster is unreachable; the update is left out")
			return &pulumirpc.UpdateResponse{Properties: request.GetOlds()}, nil
		}
		return nil, err
	}
	live, waitErr := cluster.await(ctx, live, application.say)
	encoded, err := plugin.Encode(p.state(live, inputs, application.manager))
	if err != nil {
		return nil, err
	}
	if waitErr != nil {
		return nil, unready(id(live), encoded, request.GetNews(), waitErr)
	}
	return &pulumirpc.UpdateResponse{Properties: encoded}, nil
}

// Read returns the live object, and the inputs as they have become in it.
func (p *provider) Read(ctx context.Context, request *pulumirpc.ReadRequest) (*pulumirpc.ReadResponse, error) {
	old, err := plugin.Decode(request.GetProperties())
	if err != nil {
		return nil, err
	}
	inputs, err := plugin.Decode(request.GetInputs())
	if err != nil {
		return nil, err
	}
	known := inputs
	if len(known) == 0 {
		known = old
	}
	gvk, err := p.kind(request.GetUrn(), known)
	if err != nil {
		return nil, err
	}
	cluster, err := p.connect()
	if err != nil {
		return nil, err
	}
	ctx, cancel := p.limited(ctx, defaultTimeout)
	defer cancel()
	namespace, name := splitID(request.GetId())
	live, err := patiently(ctx, deletePatience, p.status(request.GetUrn()), func() (*unstructured.Unstructured, error) {
		return cluster.get(ctx, gvk, namespace, name)
	})
	switch {
	case unreachable(err) && p.settings.deleteUnreachable:
		p.drop(request.GetUrn())
		return &pulumirpc.ReadResponse{}, nil
	case unreachable(err) && p.settings.skipUpdateUnreachable:
		return &pulumirpc.ReadResponse{
			Id: request.GetId(), Properties: request.GetProperties(), Inputs: request.GetInputs(),
		}, nil
	case unreachable(err):
		return nil, unreachableError(err)
	case meta.IsNoMatchError(err):
		return &pulumirpc.ReadResponse{}, nil
	case err != nil:
		return nil, fmt.Errorf("read %s %q: %w", gvk.Kind, request.GetId(), err)
	case live == nil:
		return &pulumirpc.ReadResponse{}, nil
	}
	current := liveInputs(live, inputs)
	manager := fieldManager(request.GetUrn(), current, old)
	state, err := plugin.Encode(p.state(live, current, manager))
	if err != nil {
		return nil, err
	}
	encoded, err := plugin.Encode(current)
	if err != nil {
		return nil, err
	}
	// An object that is not ready now keeps its error, so that the next update waits for it again.
	if look, err := cluster.readiness(ctx, live); err == nil && !look.ready &&
		live.GetAnnotations()[annotationSkipAwait] != "true" {
		reason := fmt.Errorf("%s", look.waiting)
		if look.failed != nil {
			reason = look.failed
		}
		return nil, unready(id(live), state, encoded, fmt.Errorf("%s %q: %w", gvk.Kind, id(live), reason))
	}
	return &pulumirpc.ReadResponse{Id: id(live), Properties: state, Inputs: encoded}, nil
}

// Delete deletes the object and waits until it is gone.
func (p *provider) Delete(ctx context.Context, request *pulumirpc.DeleteRequest) (*emptypb.Empty, error) {
	old, err := plugin.Decode(request.GetProperties())
	if err != nil {
		return nil, err
	}
	gvk, err := p.kind(request.GetUrn(), old)
	if err != nil {
		return nil, err
	}
	content := object(old)
	content.SetGroupVersionKind(gvk)
	namespace, name := splitID(request.GetId())
	content.SetName(name)
	content.SetNamespace(namespace)
	p.mutex.Lock()
	taken, lost := p.taken[content.GetUID()], p.lost
	p.mutex.Unlock()
	if taken {
		p.Host.Debug(request.GetUrn(), "the object now belongs to the resource that replaced this one; it stays")
		return &emptypb.Empty{}, nil
	}
	if lost {
		p.drop(request.GetUrn())
		return &emptypb.Empty{}, nil
	}
	cluster, err := p.connect()
	if err == nil {
		timed, cancel := p.limited(ctx, timeout(content, request.GetTimeout()))
		defer cancel()
		err = cluster.remove(timed, content, p.status(request.GetUrn()))
	}
	switch {
	case err == nil:
		return &emptypb.Empty{}, nil
	case p.settings.deleteUnreachable && (cluster == nil || unreachable(err)):
		p.mutex.Lock()
		p.lost = true
		p.mutex.Unlock()
		p.drop(request.GetUrn())
		return &emptypb.Empty{}, nil
	case cluster == nil, unreachable(err):
		return nil, unreachableError(err)
	}
	return nil, fmt.Errorf("delete %s %q: %w", content.GetKind(), request.GetId(), err)
}

// drop warns that an object is removed from the state because the cluster does not answer.
func (p *provider) drop(urn string) {
	p.Host.Warning(urn, "the cluster is unreachable; the resource is dropped from the state")
}

func unreachableError(err error) error {
	return fmt.Errorf("the Kubernetes cluster is unreachable: %w\nIf it is gone for good, set "+
		"PULUMI_K8S_DELETE_UNREACHABLE=true (or the provider's deleteUnreachable) to drop its objects from the "+
		"state", err)
}

// unready tells the engine that the object exists but is not ready: its state is kept, and the next update goes on.
func unready(id string, state, inputs *structpb.Struct, reason error) error {
	return rpcerror.WithDetails(
		rpcerror.New(codes.Unknown, reason.Error()),
		&pulumirpc.ErrorResourceInitFailed{
			Id: id, Properties: state, Inputs: inputs, Reasons: []string{reason.Error()},
		})
}

// application gathers what it takes to apply the object.
func (p *provider) application(
	urn string, content *unstructured.Unstructured, inputs, old resource.PropertyMap,
) application {
	return application{
		content: content,
		manager: fieldManager(urn, inputs, old),
		force:   p.settings.patchForce || content.GetAnnotations()[annotationPatchForce] == "true",
		say:     p.status(urn),
	}
}

// status returns a way to show what the resource waits for.
func (p *provider) status(urn string) func(string) {
	return func(message string) { p.Host.Status(urn, message) }
}

// limited ends the operation when its time is over, the engine cancels, or the engine is gone.
func (p *provider) limited(request context.Context, limit time.Duration) (context.Context, context.CancelFunc) {
	ctx, cancel := p.Context(request)
	timed, stop := context.WithTimeoutCause(ctx, limit, fmt.Errorf("timed out after %s", limit))
	return timed, func() { stop(); cancel() }
}

// state is the resource's new state: the live object, and what the plugin remembers of it.
func (p *provider) state(live *unstructured.Unstructured, inputs resource.PropertyMap, manager string) resource.PropertyMap {
	state := properties(live, inputs)
	state[keyFieldManager] = resource.NewProperty(manager)
	state[keyInitialAPI] = resource.NewProperty(live.GetAPIVersion())
	return state
}

// foreseen is what a preview can say of an object to be made: its inputs, and that there will be more.
func foreseen(inputs resource.PropertyMap) resource.PropertyMap {
	outputs := inputs.Copy()
	unknown := resource.MakeComputed(resource.NewProperty(""))
	outputs["status"] = unknown
	if plugin.Plain(inputs["kind"]).DeepEquals(resource.NewProperty("Service")) && inputs["spec"].IsObject() {
		spec := inputs["spec"].ObjectValue().Copy()
		for _, key := range []resource.PropertyKey{"clusterIP", "clusterIPs"} {
			if _, ok := spec[key]; !ok {
				spec[key] = unknown
			}
		}
		outputs["spec"] = resource.NewProperty(spec)
	}
	return outputs
}

// overlay is what a preview can say of an object to be changed: as it was, with the new inputs.
func overlay(old, inputs resource.PropertyMap) resource.PropertyMap {
	merged := old.Copy()
	for key, value := range inputs {
		if value.IsObject() && merged[key].IsObject() {
			merged[key] = resource.NewProperty(overlay(merged[key].ObjectValue(), value.ObjectValue()))
			continue
		}
		merged[key] = value
	}
	return merged
}
