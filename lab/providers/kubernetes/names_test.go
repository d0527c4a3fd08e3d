package main

import (
	"regexp"
	"testing"

	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"

	"argus.dev/lab/providers/internal/plugin"
)

const urn = "urn:pulumi:s::p::kubernetes:core/v1:ConfigMap::My-Map"

func TestANameIsMadeOnceAndKept(t *testing.T) {
	request := &pulumirpc.CheckRequest{Urn: urn, RandomSeed: []byte("seed")}
	first := resource.PropertyMap{}
	if err := ensureName(request, first, nil); err != nil {
		t.Fatal(err)
	}
	name := object(first).GetName()
	if !regexp.MustCompile(`^my-map-[0-9a-f]{8}$`).MatchString(name) {
		t.Errorf("the name is %q", name)
	}
	second := resource.PropertyMap{}
	other := &pulumirpc.CheckRequest{Urn: urn, RandomSeed: []byte("other")}
	if err := ensureName(other, second, first); err != nil {
		t.Fatal(err)
	}
	if again := object(second).GetName(); again != name {
		t.Errorf("it was %q and is %q", name, again)
	}
}

func TestAGivenNameStays(t *testing.T) {
	inputs := named("given", nil)
	if err := ensureName(&pulumirpc.CheckRequest{Urn: urn}, inputs, nil); err != nil {
		t.Fatal(err)
	}
	if got := object(inputs); got.GetName() != "given" || autonamed(got) {
		t.Errorf("name %q, autonamed %t", got.GetName(), autonamed(got))
	}
}

// As the real plugin: server-side apply needs the name.
func TestANameThatTheServerMakesUpIsRefused(t *testing.T) {
	inputs := resource.NewPropertyMapFromMap(map[string]any{"metadata": map[string]any{"generateName": "x-"}})
	if err := ensureName(&pulumirpc.CheckRequest{Urn: urn}, inputs, nil); err == nil {
		t.Error("generateName was taken")
	}
}

func TestAnnotationsOfTheRealPluginAreNotLeftUnheard(t *testing.T) {
	for _, annotation := range unsupportedAnnotations {
		news, err := plugin.Encode(resource.NewPropertyMapFromMap(map[string]any{
			"metadata": map[string]any{"name": "x", "annotations": map[string]any{annotation: "true"}},
		}))
		if err != nil {
			t.Fatal(err)
		}
		answer, err := newProvider(nil).Check(t.Context(), &pulumirpc.CheckRequest{Urn: urn, News: news})
		if err != nil || len(answer.GetFailures()) != 1 {
			t.Errorf("%s: %v, %v", annotation, answer.GetFailures(), err)
		}
	}
}

func TestKinds(t *testing.T) {
	gvk, err := kindOf("", "", "kubernetes:core/v1:Pod")
	if err != nil || gvk.String() != "/v1, Kind=Pod" {
		t.Errorf("%s, %v", gvk, err)
	}
	for token, allowed := range map[string]bool{
		"kubernetes:apps/v1:Deployment": true, "kubernetes:argus.dev/v1:Lamp": true,
		"kubernetes:core/v1:NodePatch": false, "kubernetes:helm.sh/v3:Release": false,
		"kubernetes:yaml/v2:ConfigGroup": false,
	} {
		if (refused(token) == "") != allowed {
			t.Errorf("%s: %q", token, refused(token))
		}
	}
}
