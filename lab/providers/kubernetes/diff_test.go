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
		"a pod's image makes a new pod": {
			schema.GroupVersionKind{Version: "v1", Kind: "Pod"},
			spec(map[string]any{"containers": []any{map[string]any{"image": "a"}}}),
			spec(map[string]any{"containers": []any{map[string]any{"image": "b"}}}),
			[]string{"spec.containers[0].image"},
		},
		"a pod's deadline does not": {
			schema.GroupVersionKind{Version: "v1", Kind: "Pod"},
			spec(map[string]any{"activeDeadlineSeconds": 1}), spec(map[string]any{"activeDeadlineSeconds": 2}), nil,
		},
		"a claim's class does not change": {
			schema.GroupVersionKind{Version: "v1", Kind: "PersistentVolumeClaim"},
			spec(map[string]any{"storageClassName": "a"}), spec(map[string]any{"storageClassName": "b"}),
			[]string{"spec.storageClassName"},
		},
		"a StatefulSet's template changes in place": {
			schema.GroupVersionKind{Group: "apps", Version: "v1", Kind: "StatefulSet"},
			spec(map[string]any{"template": map[string]any{"spec": map[string]any{"hostNetwork": false}}}),
			spec(map[string]any{"template": map[string]any{"spec": map[string]any{"hostNetwork": true}}}), nil,
		},
		"a StatefulSet keeps its number of revisions": {
			schema.GroupVersionKind{Group: "apps", Version: "v1", Kind: "StatefulSet"},
			spec(map[string]any{"revisionHistoryLimit": 1}), spec(map[string]any{"revisionHistoryLimit": 2}),
			[]string{"spec.revisionHistoryLimit"},
		},
		"a job's template makes a new job": {
			schema.GroupVersionKind{Group: "batch", Version: "v1", Kind: "Job"},
			spec(map[string]any{"template": map[string]any{"a": 1}}),
			spec(map[string]any{"template": map[string]any{"a": 2}}), []string{"spec.template.a"},
		},
		"a job's patience does not": {
			schema.GroupVersionKind{Group: "batch", Version: "v1", Kind: "Job"},
			spec(map[string]any{"backoffLimit": 1}), spec(map[string]any{"backoffLimit": 2}), nil,
		},
		"a storage class's provisioner does not change": {
			schema.GroupVersionKind{Group: "storage.k8s.io", Version: "v1", Kind: "StorageClass"},
			map[string]any{"provisioner": "a"}, map[string]any{"provisioner": "b"}, []string{"provisioner"},
		},
		"what only the API server refuses to change is an update": {
			schema.GroupVersionKind{Group: "storage.k8s.io", Version: "v1", Kind: "StorageClass"},
			map[string]any{"reclaimPolicy": "Delete"}, map[string]any{"reclaimPolicy": "Retain"}, nil,
		},
		"a binding's role does not change": {
			schema.GroupVersionKind{Group: "rbac.authorization.k8s.io", Version: "v1", Kind: "RoleBinding"},
			map[string]any{"roleRef": map[string]any{"name": "a"}},
			map[string]any{"roleRef": map[string]any{"name": "b"}}, []string{"roleRef.name"},
		},
		"a volume's folder does not change": {
			schema.GroupVersionKind{Version: "v1", Kind: "PersistentVolume"},
			spec(map[string]any{"local": map[string]any{"path": "/a"}}),
			spec(map[string]any{"local": map[string]any{"path": "/b"}}), []string{"spec.local.path"},
		},
		"a service does not give up its address": {
			schema.GroupVersionKind{Version: "v1", Kind: "Service"},
			spec(map[string]any{"clusterIP": "10.0.0.1"}), spec(map[string]any{}), []string{"spec.clusterIP"},
		},
		"a service does not ask for an address": {
			schema.GroupVersionKind{Version: "v1", Kind: "Service"},
			spec(map[string]any{}), spec(map[string]any{"clusterIP": "10.0.0.1"}), []string{"spec.clusterIP"},
		},
		"a service does not change its address": {
			schema.GroupVersionKind{Version: "v1", Kind: "Service"},
			spec(map[string]any{"clusterIP": "10.0.0.1"}), spec(map[string]any{"clusterIP": "None"}),
			[]string{"spec.clusterIP"},
		},
		"a custom resource is changed in place": {
			schema.GroupVersionKind{Group: "keda.sh", Version: "v1alpha1", Kind: "ScaledObject"},
			spec(map[string]any{"maxReplicaCount": 1}), spec(map[string]any{"maxReplicaCount": 2}), nil,
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
			if response.GetDeleteBeforeReplace() != (len(test.replaces) > 0) {
				t.Errorf("deleted first: %t; two objects of one name cannot live side by side", len(test.replaces) == 0)
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

// As `forceNewProperties` of the real plugin: also an object that the program names.
func TestDataIsReplacedUnlessTheProviderTakesItForMutable(t *testing.T) {
	mutable := settings{configMapMutable: true, secretMutable: true}
	data := func(key, value string) map[string]any { return map[string]any{key: map[string]any{"a": value}} }
	frozen := func(fields map[string]any) map[string]any { fields["immutable"] = true; return fields }
	tests := map[string]struct {
		kind     string
		old, now map[string]any
		settings settings
		replaces []string
	}{
		"a ConfigMap":                   {"ConfigMap", data("data", "1"), data("data", "2"), settings{}, []string{"data.a"}},
		"a ConfigMap's bytes":           {"ConfigMap", data("binaryData", "1"), data("binaryData", "2"), settings{}, []string{"binaryData.a"}},
		"a mutable ConfigMap":           {"ConfigMap", data("data", "1"), data("data", "2"), mutable, nil},
		"a ConfigMap that is frozen":    {"ConfigMap", frozen(data("data", "1")), frozen(data("data", "2")), mutable, []string{"data.a"}},
		"a Secret":                      {"Secret", data("stringData", "1"), data("stringData", "2"), settings{}, []string{"stringData.a"}},
		"a mutable Secret":              {"Secret", data("data", "1"), data("data", "2"), mutable, nil},
		"a Secret that is frozen":       {"Secret", frozen(data("data", "1")), frozen(data("data", "2")), mutable, []string{"data.a"}},
		"a mutable Secret's type":       {"Secret", map[string]any{"type": "a"}, map[string]any{"type": "b"}, mutable, []string{"type"}},
		"a Secret where ConfigMaps are": {"Secret", data("data", "1"), data("data", "2"), settings{configMapMutable: true}, []string{"data.a"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			gvk := schema.GroupVersionKind{Version: "v1", Kind: test.kind}
			response := diff(gvk, named("x", test.old), named("x", test.now), test.settings)
			if !slices.Equal(response.GetReplaces(), test.replaces) {
				t.Errorf("replaces %q, want %q", response.GetReplaces(), test.replaces)
			}
		})
	}
}

func TestAnAutonamedObjectIsMadeBeforeTheOldOneGoes(t *testing.T) {
	inputs := func(value string) resource.PropertyMap {
		return resource.NewPropertyMapFromMap(map[string]any{
			"metadata": map[string]any{"name": "x", "annotations": map[string]any{annotationAutonamed: "true"}},
			"data":     map[string]any{"a": value},
		})
	}
	gvk := schema.GroupVersionKind{Version: "v1", Kind: "ConfigMap"}
	response := diff(gvk, inputs("1"), inputs("2"), settings{})
	if len(response.GetReplaces()) != 1 || response.GetDeleteBeforeReplace() {
		t.Errorf("replaces %q, deleted first: %t", response.GetReplaces(), response.GetDeleteBeforeReplace())
	}
}

// A preview does not know yet what a value will be, so it must not rule out that a field stays as it is, nor that it
// changes: an unknown is a change, and one of an immutable field a replacement, as in the real plugin.
func TestAnUnknownImmutableFieldReplaces(t *testing.T) {
	gvk := schema.GroupVersionKind{Group: "apps", Version: "v1", Kind: "StatefulSet"}
	old := named("x", spec(map[string]any{"serviceName": "a", "replicas": 1}))
	now := named("x", spec(map[string]any{"serviceName": "a", "replicas": 1}))
	fields := now["spec"].ObjectValue()
	fields["replicas"] = resource.MakeComputed(resource.NewProperty(""))
	if response := diff(gvk, old, now, settings{}); len(response.GetReplaces()) != 0 || len(response.GetDiffs()) != 1 {
		t.Errorf("replaces %q, differs in %q", response.GetReplaces(), response.GetDiffs())
	}
	fields["serviceName"] = resource.MakeComputed(resource.NewProperty(""))
	if response := diff(gvk, old, now, settings{}); !slices.Equal(response.GetReplaces(), []string{"spec.serviceName"}) {
		t.Errorf("replaces %q", response.GetReplaces())
	}
}
