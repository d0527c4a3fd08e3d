package main

import (
	"strings"

	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"

	"argus.dev/lab/providers/internal/plugin"
)

// diff compares the inputs of the last run with new ones. After a refresh the old ones tell what is live.
func diff(gvk schema.GroupVersionKind, old, inputs resource.PropertyMap, settings settings) *pulumirpc.DiffResponse {
	before, after := object(old), object(inputs)
	var changes []plugin.Change
	for _, change := range plugin.Differences(old, inputs) {
		if !emptyChange(change) && !sameGroup(change) {
			changes = append(changes, change)
		}
	}
	after.SetGroupVersionKind(gvk)
	response := plugin.DiffResponse(changes, func(change plugin.Change) bool {
		path := schematic(change.Path)
		return path == "apiVersion" || immutable(gvk, path) || frozenData(after, path, settings)
	})
	// Two objects of one name cannot live side by side.
	response.DeleteBeforeReplace = len(response.GetReplaces()) > 0 && !autonamed(after) &&
		before.GetName() == after.GetName() && before.GetNamespace() == after.GetNamespace()
	return response
}

// sameGroup holds for a new version of the same API: the object stays as it is.
func sameGroup(change plugin.Change) bool {
	if schematic(change.Path) != "apiVersion" || !change.Old.IsString() || !change.New.IsString() {
		return false
	}
	old, oldErr := schema.ParseGroupVersion(change.Old.StringValue())
	now, newErr := schema.ParseGroupVersion(change.New.StringValue())
	return oldErr == nil && newErr == nil && old.Group == now.Group
}

// emptyChange holds for an empty map or list beside nothing: the API server does not tell them apart.
func emptyChange(change plugin.Change) bool {
	empty := func(value resource.PropertyValue) bool {
		return value.IsNull() || (value.IsObject() && len(value.ObjectValue()) == 0) ||
			(value.IsArray() && len(value.ArrayValue()) == 0)
	}
	// An empty selector or volume source means something: only labels and annotations are interchangeable with nothing.
	path := schematic(change.Path)
	return (path == "metadata.labels" || path == "metadata.annotations") && empty(change.Old) && empty(change.New)
}

// schematic writes a path with [] for each element of a list.
func schematic(path resource.PropertyPath) string {
	var text strings.Builder
	for index, step := range path {
		switch step := step.(type) {
		case string:
			if index > 0 {
				text.WriteByte('.')
			}
			text.WriteString(step)
		default:
			text.WriteString("[]")
		}
	}
	return text.String()
}
