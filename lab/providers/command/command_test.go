package main

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"

	"argus.dev/lab/providers/internal/plugin"
)

func inputs(values map[string]any) resource.PropertyMap {
	return resource.NewPropertyMapFromMap(values)
}

func local(values map[string]any) call {
	return call{inputs: inputs(values), old: resource.PropertyMap{}, host: nil}
}

func TestCheckRefusesWhatTheSchemaDoesNotHave(t *testing.T) {
	tests := map[string]struct {
		kind   kind
		inputs map[string]any
		want   string
	}{
		"an unknown input":       {localCommand{}, map[string]any{"creat": "x"}, "creat"},
		"a script that is a map": {localCommand{}, map[string]any{"create": map[string]any{}}, "create"},
		"asset paths":            {localCommand{}, map[string]any{"assetPaths": []any{"a"}}, "assetPaths"},
		"another logging":        {localCommand{}, map[string]any{"logging": "all"}, "logging"},
		"no connection":          {remoteCommand{}, map[string]any{"create": "x"}, "connection"},
		"no host":                {remoteCommand{}, map[string]any{"connection": map[string]any{"port": 1}}, "connection.host"},
		"an unknown way in": {
			remoteCommand{}, map[string]any{"connection": map[string]any{"host": "h", "key": "k"}}, "connection.key",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			failures := test.kind.check(inputs(test.inputs))
			if len(failures) != 1 || failures[0].GetProperty() != test.want {
				t.Errorf("failures %v, want one at %s", failures, test.want)
			}
		})
	}
}

func TestCheckFillsInTheConnectionsDefaults(t *testing.T) {
	checked := inputs(map[string]any{"connection": map[string]any{"host": "h"}})
	if failures := (remoteCommand{}).check(checked); len(failures) != 0 {
		t.Fatal(failures)
	}
	connection := newConnection(checked["connection"].ObjectValue())
	if connection.user != "root" || connection.port != 22 || connection.dialErrorLimit != 10 ||
		connection.perDialTimeout != 15*time.Second {
		t.Errorf("%+v", connection)
	}
}

func TestAHostKeyIsTheOnlyOneThatPasses(t *testing.T) {
	const key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDb4Zp6zGmVLVLVnZCyZ8bLqkCQYvDqYHnYX0gqhd3eL"
	given := func(values map[string]any) *connection { return newConnection(inputs(values)) }
	config, err := given(map[string]any{"host": "h", "hostKey": key}).config()
	if err != nil {
		t.Fatal(err)
	}
	if len(config.HostKeyAlgorithms) != 1 || config.HostKeyAlgorithms[0] != "ssh-ed25519" {
		t.Errorf("algorithms %v", config.HostKeyAlgorithms)
	}
	if config, err = given(map[string]any{"host": "h"}).config(); err != nil || config.HostKeyAlgorithms != nil {
		t.Errorf("without a key, any is taken: %v, %v", config.HostKeyAlgorithms, err)
	}
	if _, err = given(map[string]any{"host": "h", "hostKey": ""}).config(); err == nil {
		t.Error("an empty key is none that any host could show")
	}
}

func TestTriggersReplaceUnlessThereIsAnUpdate(t *testing.T) {
	change := plugin.Change{Path: resource.PropertyPath{"triggers", 0}}
	if !replacesOnTriggers(change, inputs(map[string]any{"create": "x"})) {
		t.Error("a changed trigger replaces")
	}
	if replacesOnTriggers(change, inputs(map[string]any{"create": "x", "update": "y"})) {
		t.Error("a changed trigger updates where there is an update")
	}
	other := plugin.Change{Path: resource.PropertyPath{"create"}}
	if replacesOnTriggers(other, inputs(map[string]any{"create": "x"})) {
		t.Error("an edited script updates")
	}
}

func TestALocalCommandRuns(t *testing.T) {
	outputs, err := runLocal(context.Background(), local(map[string]any{
		"create": "cat; echo $X; echo err >&2", "stdin": "in\n", "environment": map[string]any{"X": "y"},
	}), "create")
	if err != nil {
		t.Fatal(err)
	}
	if got := outputs["stdout"].StringValue(); got != "in\ny" {
		t.Errorf("stdout %q", got)
	}
	if got := outputs["stderr"].StringValue(); got != "err" {
		t.Errorf("stderr %q", got)
	}
}

func TestAFailureHoldsTheOutputAndNotTheScript(t *testing.T) {
	_, err := runLocal(context.Background(), local(map[string]any{"create": ": hunter2; echo why; exit 3"}), "create")
	if err == nil || !strings.Contains(err.Error(), "why") || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("%v", err)
	}
}

func TestACancelledCommandIsKilledWithItsChildren(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
	defer cancel()
	start := time.Now()
	_, err := runLocal(ctx, local(map[string]any{"create": "sleep 60 & wait"}), "create")
	if err == nil || time.Since(start) > killGrace+5*time.Second {
		t.Errorf("%v after %s", err, time.Since(start))
	}
}

func TestOutputIsSecretAsSoonAsAnInputIs(t *testing.T) {
	outputs := inputs(map[string]any{"stdout": "a", "stderr": ""})
	given := inputs(map[string]any{"connection": map[string]any{"host": "h"}, "create": "x"})
	given["connection"] = resource.MakeSecret(given["connection"])
	if state(remoteCommand{}, given, outputs)["stdout"].IsSecret() {
		t.Error("the way in alone makes no secret of the output")
	}
	given["create"] = resource.MakeSecret(given["create"])
	if !state(remoteCommand{}, given, outputs)["stdout"].IsSecret() {
		t.Error("the output of a secret script is secret")
	}
	if preview := state(remoteCommand{}, given, nil)["stdout"]; !preview.ContainsUnknowns() {
		t.Error("a preview does not know the output")
	}
}

func TestQuote(t *testing.T) {
	if got := quote("a'b"); got != `'a'\''b'` {
		t.Error(got)
	}
}
