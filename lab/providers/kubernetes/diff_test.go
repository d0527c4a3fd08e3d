package main

import (
	"slices"
	"testing"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
)

func named(name string, fields map[string]any) resource.PropertyMap {
	all := map[string]any{"metadata": map[string]any{"name": name, "namespace": "argus"}}
	for key, value := range fields {
		all[key] = value
	}
	return resource.NewPropertyMapFromMap(all)
}

func spec(fields map[string]any) map[string]any { return map[string]any{"spec": fields} }

func TestDiffReplacesWhereAFieldIsImmutable(t *testing.T) {
	tests := map[string]struct {
		gvk      schema.GroupVersionKind
		old, now map[string]any
		replaces []string
	}{
		"a StatefulSet scales in place": {
			schema.GroupVersionKind{Group: "apps", Version: "v1", Kind: "StatefulSet"},
			spec(map[string]any{"replicas": 1}), spec(map[string]any{"replicas": 3}), nil,
		},
		"a StatefulSet's service name does not change": {
			schema.GroupVersionKind{Group: "apps", Version: "v1", Kind: "StatefulSet"},
			spec(map[string]any{"serviceName": "a"}), spec(map[string]any{"serviceName": "b"}),
			[]string{"spec.serviceName"},
		},
		"a StatefulSet's claims do not change": {
			schema.GroupVersionKind{Group: "apps", Version: "v1", Kind: "StatefulSet"},
			spec(map[string]any{"volumeClaimTemplates": []any{map[string]any{"a": 1}}}),
			spec(map[string]any{"volumeClaimTemplates": []any{map[string]any{"a": 2}}}),
			[]string{"spec.volumeClaimTemplates[0].a"},
		},
		"a Deployment's selector does not change": {
			schema.GroupVersionKind{Group: "apps", Version: "v1", Kind: "Deployment"},
			spec(map[string]any{"selector": map[string]any{"matchLabels": map[string]any{"app": "a"}}, "replicas": 1}),
			spec(map[string]any{"selector": map[string]any{"matchLabels": map[string]any{"app": "b"}}, "replicas": 2}),
			[]string{"spec.selector.matchLabels.app"},
		},
		"a claim may grow": {
			schema.GroupVersionKind{Version: "v1", Kind: "PersistentVolumeClaim"},
			spec(map[string]any{"resources": map[string]any{"requests": map[string]any{"storage": "1Gi"}}}),
			spec(map[string]any{"resources": map[string]any{"requests": map[string]any{"storage": "2Gi"}}}), nil,
		},
		"a pod's image changes in place": {
			schema.GroupVersionKind{Version: "v1", Kind: "Pod"},
			spec(map[string]any{"containers": []any{map[string]any{"image": "a"}}}),
			spec(map[string]any{"containers": []any{map[string]any{"image": "b"}}}), nil,
		},
		"a pod's command does not": {
			schema.GroupVersionKind{Version: "v1", Kind: "Pod"},
			spec(map[string]any{"containers": []any{map[string]any{"command": []any{"a"}}}}),
			spec(map[string]any{"containers": []any{map[string]any{"command": []any{"b"}}}}),
			[]string{"spec.containers[0].command[0]"},
		},
		"a service may give up its address": {
			schema.GroupVersionKind{Version: "v1", Kind: "Service"},
			spec(map[string]any{"clusterIP": "10.0.0.1"}), spec(map[string]any{}), nil,
		},
		"a service does not change its address": {
			schema.GroupVersionKind{Version: "v1", Kind: "Service"},
			spec(map[string]any{"clusterIP": "10.0.0.1"}), spec(map[string]any{"clusterIP": "None"}),
			[]string{"spec.clusterIP"},
		},
		"a named ConfigMap changes in place": {
			schema.GroupVersionKind{Version: "v1", Kind: "ConfigMap"},
			map[string]any{"data": map[string]any{"a": "1"}}, map[string]any{"data": map[string]any{"a": "2"}}, nil,
		},
		"an immutable ConfigMap does not": {
			schema.GroupVersionKind{Version: "v1", Kind: "ConfigMap"},
			map[string]any{"immutable": true, "data": map[string]any{"a": "1"}},
			map[string]any{"immutable": true, "data": map[string]any{"a": "2"}}, []string{"data.a"},
		},
		"a newer version of the same API is no change": {
			schema.GroupVersionKind{Group: "batch", Version: "v1", Kind: "CronJob"},
			map[string]any{"apiVersion": "batch/v1beta1"}, map[string]any{"apiVersion": "batch/v1"}, nil,
		},
		"another API group is another object": {
			schema.GroupVersionKind{Group: "apps", Version: "v1", Kind: "Deployment"},
			map[string]any{"apiVersion": "extensions/v1"}, map[string]any{"apiVersion": "apps/v1"},
			[]string{"apiVersion"},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			response := diff(test.gvk, named("x", test.old), named("x", test.now), settings{})
			if !slices.Equal(response.GetReplaces(), test.replaces) {
				t.Errorf("replaces %q, want %q", response.GetReplaces(), test.replaces)
			}
			if len(test.replaces) > 0 && !response.GetDeleteBeforeReplace() {
				t.Error("two objects of one name cannot live side by side")
			}
		})
	}
}

func TestARenamedObjectIsMadeBeforeTheOldOneGoes(t *testing.T) {
	gvk := schema.GroupVersionKind{Version: "v1", Kind: "ConfigMap"}
	response := diff(gvk, named("a", nil), named("b", nil), settings{})
	if !slices.Equal(response.GetReplaces(), []string{"metadata.name"}) || response.GetDeleteBeforeReplace() {
		t.Errorf("replaces %q, deleted before: %t", response.GetReplaces(), response.GetDeleteBeforeReplace())
	}
}

func TestAnAutonamedConfigMapIsReplacedUnlessMutable(t *testing.T) {
	gvk := schema.GroupVersionKind{Version: "v1", Kind: "ConfigMap"}
	inputs := func(value string) resource.PropertyMap {
		return resource.NewPropertyMapFromMap(map[string]any{
			"metadata": map[string]any{"name": "x", "annotations": map[string]any{annotationAutonamed: "true"}},
			"data":     map[string]any{"a": value},
		})
	}
	old, now := inputs("1"), inputs("2")
	old["kind"], now["kind"] = resource.NewProperty("ConfigMap"), resource.NewProperty("ConfigMap")
	if response := diff(gvk, old, now, settings{}); len(response.GetReplaces()) != 1 {
		t.Errorf("replaces %q", response.GetReplaces())
	}
	if response := diff(gvk, old, now, settings{configMapMutable: true}); len(response.GetReplaces()) != 0 {
		t.Errorf("mutable, but replaces %q", response.GetReplaces())
	}
}
