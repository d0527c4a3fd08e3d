package plugin

import (
	"testing"

	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
)

func properties(values map[string]any) resource.PropertyMap {
	return resource.NewPropertyMapFromMap(values)
}

func TestDifferencesNameEachPlace(t *testing.T) {
	old := properties(map[string]any{
		"same": 1, "gone": "x", "null": nil,
		"map":  map[string]any{"a.b": "1", "kept": true},
		"list": []any{"one", "two"},
	})
	now := properties(map[string]any{
		"same": 1, "new": "y",
		"map":  map[string]any{"a.b": "2", "kept": true},
		"list": []any{"one", "2", "three"},
	})
	want := map[string]pulumirpc.PropertyDiff_Kind{
		"gone":       pulumirpc.PropertyDiff_DELETE,
		"new":        pulumirpc.PropertyDiff_ADD,
		`map["a.b"]`: pulumirpc.PropertyDiff_UPDATE,
		"list[1]":    pulumirpc.PropertyDiff_UPDATE,
		"list[2]":    pulumirpc.PropertyDiff_ADD,
	}
	changes := Differences(old, now)
	if len(changes) != len(want) {
		t.Errorf("%d changes, want %d: %v", len(changes), len(want), changes)
	}
	for _, change := range changes {
		if kind, ok := want[change.Path.String()]; !ok || kind != change.Kind {
			t.Errorf("unexpected change %s (%s)", change.Path, change.Kind)
		}
	}
}

func TestDifferencesSeeThroughSecrets(t *testing.T) {
	plain := properties(map[string]any{"a": map[string]any{"b": "c"}})
	secret := resource.PropertyMap{"a": resource.MakeSecret(plain["a"])}
	if changes := Differences(plain, secret); len(changes) != 0 {
		t.Errorf("the wrapper counts as a change: %v", changes)
	}
}

func TestAnUnknownIsAChange(t *testing.T) {
	old := properties(map[string]any{"a": ""})
	now := resource.PropertyMap{"a": resource.MakeComputed(resource.NewProperty(""))}
	if changes := Differences(old, now); len(changes) != 1 {
		t.Errorf("want one change, got %v", changes)
	}
}

func TestDiffResponseReplacesWhereAsked(t *testing.T) {
	changes := Differences(properties(map[string]any{"a": 1, "b": 1}), properties(map[string]any{"a": 2, "b": 2}))
	response := DiffResponse(changes, func(change Change) bool { return change.Path.String() == "a" })
	if len(response.GetReplaces()) != 1 || response.GetReplaces()[0] != "a" {
		t.Errorf("replaces %v, want a alone", response.GetReplaces())
	}
	if kind := response.GetDetailedDiff()["a"].GetKind(); kind != pulumirpc.PropertyDiff_UPDATE_REPLACE {
		t.Errorf("a is %s", kind)
	}
	if kind := response.GetDetailedDiff()["b"].GetKind(); kind != pulumirpc.PropertyDiff_UPDATE {
		t.Errorf("b is %s", kind)
	}
	if none := DiffResponse(nil, nil); none.GetChanges() != pulumirpc.DiffResponse_DIFF_NONE {
		t.Errorf("no change reads %s", none.GetChanges())
	}
}
