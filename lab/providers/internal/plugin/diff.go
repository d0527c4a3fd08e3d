package plugin

import (
	"sort"

	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
)

// Change is one place at which two property maps differ.
type Change struct {
	Path resource.PropertyPath
	Kind pulumirpc.PropertyDiff_Kind
	Old  resource.PropertyValue
	New  resource.PropertyValue
}

// Differences lists, in the order of their paths, the places at which the new inputs differ from the old ones.
// Wrappers of secrets do not count, and neither does a null beside nothing.
func Differences(old, new resource.PropertyMap) []Change {
	return differences(nil, resource.NewProperty(PlainMap(old)), resource.NewProperty(PlainMap(new)))
}

func differences(path resource.PropertyPath, old, new resource.PropertyValue) []Change {
	switch {
	case old.IsNull() && new.IsNull():
		return nil
	case old.IsNull():
		return []Change{{Path: path, Kind: pulumirpc.PropertyDiff_ADD, Old: old, New: new}}
	case new.IsNull():
		return []Change{{Path: path, Kind: pulumirpc.PropertyDiff_DELETE, Old: old, New: new}}
	case old.IsObject() && new.IsObject():
		return objectDifferences(path, old.ObjectValue(), new.ObjectValue())
	case old.IsArray() && new.IsArray():
		return arrayDifferences(path, old.ArrayValue(), new.ArrayValue())
	case !new.ContainsUnknowns() && old.DeepEquals(new):
		return nil
	default:
		return []Change{{Path: path, Kind: pulumirpc.PropertyDiff_UPDATE, Old: old, New: new}}
	}
}

func objectDifferences(path resource.PropertyPath, old, new resource.PropertyMap) []Change {
	keys := map[resource.PropertyKey]struct{}{}
	for key := range old {
		keys[key] = struct{}{}
	}
	for key := range new {
		keys[key] = struct{}{}
	}
	sorted := make([]string, 0, len(keys))
	for key := range keys {
		sorted = append(sorted, string(key))
	}
	sort.Strings(sorted)
	var changes []Change
	for _, key := range sorted {
		if key == "__defaults" {
			continue
		}
		changes = append(changes, differences(
			extend(path, key), old[resource.PropertyKey(key)], new[resource.PropertyKey(key)])...)
	}
	return changes
}

func arrayDifferences(path resource.PropertyPath, old, new []resource.PropertyValue) []Change {
	var changes []Change
	for index := range max(len(old), len(new)) {
		var before, after resource.PropertyValue
		if index < len(old) {
			before = old[index]
		}
		if index < len(new) {
			after = new[index]
		}
		changes = append(changes, differences(extend(path, index), before, after)...)
	}
	return changes
}

// extend returns the path and one step more, sharing no memory with it.
func extend(path resource.PropertyPath, step any) resource.PropertyPath {
	return append(append(make(resource.PropertyPath, 0, len(path)+1), path...), step)
}

// DiffResponse says to the engine which of the changes need a replacement.
func DiffResponse(changes []Change, replace func(Change) bool) *pulumirpc.DiffResponse {
	if len(changes) == 0 {
		return &pulumirpc.DiffResponse{Changes: pulumirpc.DiffResponse_DIFF_NONE}
	}
	response := &pulumirpc.DiffResponse{
		Changes:         pulumirpc.DiffResponse_DIFF_SOME,
		DetailedDiff:    map[string]*pulumirpc.PropertyDiff{},
		HasDetailedDiff: true,
	}
	seen := map[string]bool{}
	for _, change := range changes {
		kind := change.Kind
		if replace(change) {
			kind = replacing(kind)
			response.Replaces = append(response.Replaces, change.Path.String())
		}
		response.DetailedDiff[change.Path.String()] = &pulumirpc.PropertyDiff{Kind: kind, InputDiff: true}
		if top, ok := change.Path[0].(string); ok && !seen[top] {
			seen[top] = true
			response.Diffs = append(response.Diffs, top)
		}
	}
	return response
}

func replacing(kind pulumirpc.PropertyDiff_Kind) pulumirpc.PropertyDiff_Kind {
	switch kind {
	case pulumirpc.PropertyDiff_ADD:
		return pulumirpc.PropertyDiff_ADD_REPLACE
	case pulumirpc.PropertyDiff_DELETE:
		return pulumirpc.PropertyDiff_DELETE_REPLACE
	default:
		return pulumirpc.PropertyDiff_UPDATE_REPLACE
	}
}
