package main

import (
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"

	"argus.dev/lab/providers/internal/plugin"
)

func TestLiveInputs(t *testing.T) {
	tests := map[string]struct {
		live    string
		inputs  map[string]any
		changed []string
	}{
		"defaults of the server are no drift": {
			"{kind: Deployment, apiVersion: apps/v1, spec: {replicas: 1, paused: false, strategy: {type: X}}}",
			map[string]any{"spec": map[string]any{"replicas": 1}}, nil,
		},
		"another spelling of a quantity is no drift": {
			"{kind: Pod, apiVersion: v1, spec: {limits: {cpu: '1', memory: 1Gi}}}",
			map[string]any{"spec": map[string]any{"limits": map[string]any{"cpu": "1000m", "memory": "1024Mi"}}}, nil,
		},
		"what the server drops as empty is no drift": {
			"{kind: Pod, apiVersion: v1, spec: {volumes: [{name: a}]}}",
			map[string]any{"spec": map[string]any{"volumes": []any{
				map[string]any{"name": "a", "emptyDir": map[string]any{}},
			}}}, nil,
		},
		"a changed field is drift": {
			"{kind: Deployment, apiVersion: apps/v1, spec: {replicas: 3}}",
			map[string]any{"spec": map[string]any{"replicas": 1}}, []string{"spec.replicas"},
		},
		"a removed field is drift": {
			"{kind: ConfigMap, apiVersion: v1, data: {a: '1'}}",
			map[string]any{"data": map[string]any{"a": "1", "b": "2"}}, []string{"data.b"},
		},
		"a container that was put in front is no drift of ours": {
			"{kind: Pod, apiVersion: v1, spec: {containers: [{name: sidecar, image: s}, {name: main, image: m}]}}",
			map[string]any{"spec": map[string]any{"containers": []any{
				map[string]any{"name": "main", "image": "m"},
			}}}, nil,
		},
		"text of a Secret is read back as text": {
			"{kind: Secret, apiVersion: v1, data: {password: aHVudGVyMg==}}",
			map[string]any{"stringData": map[string]any{"password": "hunter2"}}, nil,
		},
		"changed text of a Secret is drift": {
			"{kind: Secret, apiVersion: v1, data: {password: eA==}}",
			map[string]any{"stringData": map[string]any{"password": "hunter2"}}, []string{"stringData.password"},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			inputs := resource.NewPropertyMapFromMap(test.inputs)
			changes := plugin.Differences(liveInputs(live(t, test.live), inputs), inputs)
			var paths []string
			for _, change := range changes {
				paths = append(paths, change.Path.String())
			}
			if len(paths) != len(test.changed) || (len(paths) > 0 && paths[0] != test.changed[0]) {
				t.Errorf("drift at %q, want %q", paths, test.changed)
			}
		})
	}
}

func TestSecretsStaySecret(t *testing.T) {
	inputs := resource.PropertyMap{
		"data": resource.NewProperty(resource.PropertyMap{
			"open": resource.NewProperty("a"), "hidden": resource.MakeSecret(resource.NewProperty("b")),
		}),
	}
	outputs := properties(live(t, "{kind: ConfigMap, apiVersion: v1, data: {open: a, hidden: b}}"), inputs)
	data := outputs["data"].ObjectValue()
	if data["open"].IsSecret() || !data["hidden"].IsSecret() {
		t.Errorf("open secret: %t, hidden secret: %t", data["open"].IsSecret(), data["hidden"].IsSecret())
	}
	hidden := resource.MakeSecret(resource.NewProperty("b"))
	for name, test := range map[string]struct {
		given  resource.PropertyMap
		secret bool
	}{
		"data that was given":                       {resource.PropertyMap{"data": hidden}, true},
		"text that was given":                       {resource.PropertyMap{"stringData": hidden}, true},
		"what others wrote is the engine's to hide": {nil, false},
	} {
		outputs := properties(live(t, "{kind: Secret, apiVersion: v1, data: {a: Yg==}}"), test.given)
		if outputs["data"].IsSecret() != test.secret {
			t.Errorf("%s: secret: %t", name, outputs["data"].IsSecret())
		}
	}
}

func TestImportedInputsAreWithoutTheServersFields(t *testing.T) {
	inputs := liveInputs(live(t, "{kind: Pod, apiVersion: v1, metadata: {name: a, uid: u}, status: {phase: x}}"), nil)
	if _, ok := inputs["status"]; ok {
		t.Error("status is no input")
	}
	if _, ok := inputs["metadata"].ObjectValue()["uid"]; ok {
		t.Error("uid is no input")
	}
}
