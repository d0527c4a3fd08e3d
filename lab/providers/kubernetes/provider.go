package main

import (
	"context"
	"fmt"
	"sync"

	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"google.golang.org/protobuf/types/known/emptypb"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"

	"argus.dev/lab/providers/internal/plugin"
)

// provider serves every kind of Kubernetes object.
type provider struct {
	plugin.Base

	settings settings
	mutex    sync.Mutex
	cluster  *cluster
	// taken are the live objects that a create of this run found in its place; deleting the old resource of a
	// replacement must not delete the new one's object.
	taken map[types.UID]bool
	// lost says that a deletion has waited for the cluster in vain, and that its objects are to be dropped then: the
	// next ones do not wait. The official plugin finds out once, when it is configured.
	lost bool
}

func newProvider(host *plugin.Host) *provider {
	return &provider{Base: plugin.NewBase("kubernetes", version, host), taken: map[types.UID]bool{}}
}

// CheckConfig validates the provider resource's inputs.
func (p *provider) CheckConfig(_ context.Context, request *pulumirpc.CheckRequest) (*pulumirpc.CheckResponse, error) {
	inputs, err := plugin.Decode(request.GetNews())
	if err != nil {
		return nil, err
	}
	plain := plugin.PlainMap(inputs)
	var failures []*pulumirpc.CheckFailure
	for _, key := range unsupportedSettings {
		if value, ok := plain[key]; ok && !value.IsNull() {
			failures = append(failures, &pulumirpc.CheckFailure{
				Property: string(key), Reason: p.Unsupported(string(key)).Error(),
			})
		}
	}
	if !plugin.Bool(plain, "enableServerSideApply", true) {
		failures = append(failures, &pulumirpc.CheckFailure{
			Property: "enableServerSideApply", Reason: p.Unsupported("client-side apply").Error(),
		})
	}
	if value := plain["kubeconfig"]; value.IsString() {
		if _, err := newSettings(plain).clientConfig(); err != nil {
			failures = append(failures, &pulumirpc.CheckFailure{Property: "kubeconfig", Reason: err.Error()})
		}
	}
	return &pulumirpc.CheckResponse{Inputs: request.GetNews(), Failures: failures}, nil
}

// DiffConfig asks for a replacement, and so for one of every object, where the settings mean another cluster.
func (p *provider) DiffConfig(_ context.Context, request *pulumirpc.DiffRequest) (*pulumirpc.DiffResponse, error) {
	old, err := plugin.Decode(request.GetOldInputs())
	if err != nil {
		return nil, err
	}
	inputs, err := plugin.Decode(request.GetNews())
	if err != nil {
		return nil, err
	}
	return diffConfig(plugin.PlainMap(old), plugin.PlainMap(inputs)), nil
}

// Configure takes the provider's settings; the cluster is contacted when the first object needs it.
func (p *provider) Configure(
	_ context.Context, request *pulumirpc.ConfigureRequest,
) (*pulumirpc.ConfigureResponse, error) {
	values, err := plugin.Decode(request.GetArgs())
	if err != nil {
		return nil, err
	}
	p.settings = newSettings(plugin.PlainMap(values))
	return &pulumirpc.ConfigureResponse{
		AcceptSecrets: true, SupportsPreview: true, AcceptResources: true, SupportsAutonamingConfiguration: true,
	}, nil
}

// Attach accepts an engine that did not start the plugin.
func (p *provider) Attach(context.Context, *pulumirpc.PluginAttach) (*emptypb.Empty, error) {
	return &emptypb.Empty{}, nil
}

// Cancel ends every operation under way.
func (p *provider) Cancel(ctx context.Context, empty *emptypb.Empty) (*emptypb.Empty, error) {
	return p.Base.Cancel(ctx, empty)
}

// connect makes the clients, once.
func (p *provider) connect() (*cluster, error) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	if p.cluster != nil {
		return p.cluster, nil
	}
	config, err := p.settings.clientConfig()
	if err != nil {
		return nil, err
	}
	client, err := restConfig(config)
	if err != nil {
		return nil, err
	}
	namespace, _, err := config.Namespace()
	if err != nil {
		return nil, fmt.Errorf("the provider's kubeconfig: %w", err)
	}
	p.cluster, err = newCluster(client, namespace)
	return p.cluster, err
}

// kind finds what the resource is, and refuses what only the real plugin can do.
func (p *provider) kind(urn string, inputs resource.PropertyMap) (schema.GroupVersionKind, error) {
	token := string(resource.URN(urn).Type())
	if what := refused(token); what != "" {
		return schema.GroupVersionKind{}, p.Unsupported(what)
	}
	plain := plugin.PlainMap(inputs)
	apiVersion, _ := plugin.String(plain, "apiVersion")
	kind, _ := plugin.String(plain, "kind")
	return kindOf(apiVersion, kind, token)
}

// Check completes the inputs: kind, name, namespace.
func (p *provider) Check(_ context.Context, request *pulumirpc.CheckRequest) (*pulumirpc.CheckResponse, error) {
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
	apiVersion, kind := gvk.ToAPIVersionAndKind()
	inputs["apiVersion"], inputs["kind"] = resource.NewProperty(apiVersion), resource.NewProperty(kind)
	inputs = withoutNulls(resource.NewProperty(inputs)).ObjectValue()

	var failures []*pulumirpc.CheckFailure
	metadata := plugin.Plain(inputs["metadata"])
	if !metadata.IsNull() && !metadata.IsObject() && !metadata.IsComputed() {
		failures = append(failures, &pulumirpc.CheckFailure{
			Property: "metadata", Reason: "metadata must be a map, not " + metadata.TypeString(),
		})
	} else if err := ensureName(request, inputs, old); err != nil {
		failures = append(failures, &pulumirpc.CheckFailure{Property: "metadata.name", Reason: err.Error()})
	} else if namespacedBuiltin(gvk) && !metadata.IsComputed() {
		fields := child(inputs, "metadata")
		if _, ok := fields["namespace"]; !ok {
			fields["namespace"] = resource.NewProperty(p.defaultNamespace())
		}
	}
	for _, annotation := range unsupportedAnnotations {
		if _, asked := object(inputs).GetAnnotations()[annotation]; asked {
			failures = append(failures, &pulumirpc.CheckFailure{
				Property: "metadata.annotations", Reason: p.Unsupported("the annotation " + annotation).Error(),
			})
		}
	}
	encoded, err := plugin.Encode(hideSecretData(gvk, inputs))
	if err != nil {
		return nil, err
	}
	return &pulumirpc.CheckResponse{Inputs: encoded, Failures: failures}, nil
}

// defaultNamespace is where objects live that name no namespace.
func (p *provider) defaultNamespace() string {
	if p.settings.namespace != "" {
		return p.settings.namespace
	}
	if config, err := p.settings.clientConfig(); err == nil {
		if namespace, _, err := config.Namespace(); err == nil && namespace != "" {
			return namespace
		}
	}
	return "default"
}

// withoutNulls drops null fields, which SDKs send for what is not given.
func withoutNulls(value resource.PropertyValue) resource.PropertyValue {
	switch {
	case value.IsSecret():
		return resource.MakeSecret(withoutNulls(value.SecretValue().Element))
	case value.IsObject():
		fields := resource.PropertyMap{}
		for key, field := range value.ObjectValue() {
			if !field.IsNull() {
				fields[key] = withoutNulls(field)
			}
		}
		return resource.NewProperty(fields)
	case value.IsArray():
		items := make([]resource.PropertyValue, 0, len(value.ArrayValue()))
		for _, item := range value.ArrayValue() {
			items = append(items, withoutNulls(item))
		}
		return resource.NewProperty(items)
	}
	return value
}

// Diff compares the new inputs with the old ones.
func (p *provider) Diff(_ context.Context, request *pulumirpc.DiffRequest) (*pulumirpc.DiffResponse, error) {
	old, err := plugin.Decode(request.GetOldInputs())
	if err != nil {
		return nil, err
	}
	inputs, err := plugin.Decode(request.GetNews())
	if err != nil {
		return nil, err
	}
	gvk, err := p.kind(request.GetUrn(), inputs)
	if err != nil {
		return nil, err
	}
	return diff(gvk, old, inputs, p.settings), nil
}
