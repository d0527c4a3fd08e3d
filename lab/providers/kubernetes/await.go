package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

const (
	defaultTimeout = 10 * time.Minute
	firstPoll      = 250 * time.Millisecond
	lastPoll       = 3 * time.Second
	reasonLimit    = 5
)

var (
	podKind           = schema.GroupVersionKind{Version: "v1", Kind: "Pod"}
	endpointSliceKind = schema.GroupVersionKind{Group: "discovery.k8s.io", Version: "v1", Kind: "EndpointSlice"}
	storageClassKind  = schema.GroupVersionKind{Group: "storage.k8s.io", Version: "v1", Kind: "StorageClass"}
)

// timeout is how long to wait for an object: as the resource's options say, or its annotation, or ten minutes.
func timeout(content *unstructured.Unstructured, seconds float64) time.Duration {
	if seconds > 0 {
		return time.Duration(seconds * float64(time.Second))
	}
	if text := content.GetAnnotations()[annotationTimeout]; text != "" {
		if annotated, err := strconv.ParseFloat(text, 64); err == nil && annotated > 0 {
			return time.Duration(annotated * float64(time.Second))
		}
	}
	return defaultTimeout
}

// await waits until the object is ready, and returns it as it is then. An error comes with the object too.
func (c *cluster) await(
	ctx context.Context, live *unstructured.Unstructured, say func(string),
) (*unstructured.Unstructured, error) {
	if live.GetAnnotations()[annotationSkipAwait] == "true" {
		return live, nil
	}
	last := ""
	for wait := firstPoll; ; wait = min(wait*2, lastPoll) {
		state, err := c.readiness(ctx, live)
		switch {
		case err != nil && !transient(err) && ctx.Err() == nil:
			return live, err
		case err != nil:
			state = waitingFor("the cluster does not answer: %v", err)
		case state.failed != nil:
			return live, c.explain(live, state.failed)
		case state.ready:
			return live, nil
		}
		if state.waiting != last {
			say("Waiting: " + state.waiting)
			last = state.waiting
		}
		if err := pause(ctx, wait); err != nil {
			return live, c.explain(live, fmt.Errorf("not ready: %s: %w", state.waiting, err))
		}
		current, err := c.get(ctx, live.GroupVersionKind(), live.GetNamespace(), live.GetName())
		if err == nil && current == nil {
			return live, fmt.Errorf("%s %q was deleted while it was awaited", live.GetKind(), id(live))
		}
		if err == nil {
			live = current
		}
	}
}

// readiness looks at the object, and at what else its readiness depends on.
func (c *cluster) readiness(ctx context.Context, live *unstructured.Unstructured) (readiness, error) {
	kind := live.GroupVersionKind().GroupKind()
	switch kind {
	case schema.GroupKind{Kind: "Service"}:
		endpoints, err := c.readyEndpoints(ctx, live)
		return serviceReady(live, endpoints), err
	case schema.GroupKind{Kind: "PersistentVolumeClaim"}:
		waits, err := c.waitsForConsumer(ctx, live)
		return claimReady(live, waits), err
	}
	if predicate, ok := predicates[kind]; ok {
		return predicate(live), nil
	}
	return ready(), nil
}

func (c *cluster) readyEndpoints(ctx context.Context, service *unstructured.Unstructured) (int, error) {
	slices, err := c.list(ctx, endpointSliceKind, service.GetNamespace(), "kubernetes.io/service-name="+service.GetName())
	if err != nil {
		return 0, err
	}
	count := 0
	for _, slice := range slices {
		endpoints, _, _ := unstructured.NestedSlice(slice.Object, "endpoints")
		for _, item := range endpoints {
			if endpoint, ok := item.(map[string]any); ok {
				serving, found, _ := unstructured.NestedBool(endpoint, "conditions", "ready")
				if serving || !found {
					count++
				}
			}
		}
	}
	return count, nil
}

// waitsForConsumer says whether the claim's class binds it only once a pod asks for it.
func (c *cluster) waitsForConsumer(ctx context.Context, claim *unstructured.Unstructured) (bool, error) {
	name, found, _ := unstructured.NestedString(claim.Object, "spec", "storageClassName")
	if !found || name == "" {
		return false, nil
	}
	class, err := c.get(ctx, storageClassKind, "", name)
	if err != nil || class == nil {
		return false, err
	}
	mode, _, _ := unstructured.NestedString(class.Object, "volumeBindingMode")
	return mode == "WaitForFirstConsumer", nil
}

func (c *cluster) list(
	ctx context.Context, gvk schema.GroupVersionKind, namespace, selector string,
) ([]unstructured.Unstructured, error) {
	objects, err := c.objects(gvk, namespace)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	found, err := objects.List(ctx, metav1.ListOptions{LabelSelector: selector})
	if err != nil {
		return nil, err
	}
	return found.Items, nil
}

// explain adds to an error what the object's pods say.
func (c *cluster) explain(live *unstructured.Unstructured, failure error) error {
	failure = fmt.Errorf("%s %q: %w", live.GetKind(), id(live), failure)
	matching, found, _ := unstructured.NestedStringMap(live.Object, "spec", "selector", "matchLabels")
	if !found {
		matching, found, _ = unstructured.NestedStringMap(live.Object, "spec", "selector")
	}
	if !found || len(matching) == 0 {
		return failure
	}
	// The resource's own time may be over: asking why takes a little more.
	ctx, cancel := context.WithTimeout(context.Background(), requestTimeout)
	defer cancel()
	pods, err := c.list(ctx, podKind, live.GetNamespace(), labels.Set(matching).String())
	if err != nil {
		return failure
	}
	var reasons []string
	for index := range pods {
		if state := podReady(&pods[index]); !state.ready && len(reasons) < reasonLimit {
			reason := state.waiting
			if state.failed != nil {
				reason = state.failed.Error()
			}
			reasons = append(reasons, fmt.Sprintf("pod %s: %s", pods[index].GetName(), reason))
		}
	}
	if len(reasons) == 0 {
		return failure
	}
	return fmt.Errorf("%w\n%s", failure, strings.Join(reasons, "\n"))
}
