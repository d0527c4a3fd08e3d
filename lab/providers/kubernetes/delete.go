package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
)

// remove deletes the object and waits until it is gone. One that is not there, or whose kind is not, is gone.
func (c *cluster) remove(ctx context.Context, content *unstructured.Unstructured, say func(string)) error {
	propagation := metav1.DeletePropagationForeground
	if asked := content.GetAnnotations()[annotationPropagation]; asked != "" {
		propagation = metav1.DeletionPropagation(strings.ToUpper(asked[:1]) + asked[1:])
	}
	_, err := patiently(ctx, deletePatience, say, func() (struct{}, error) {
		objects, err := c.objects(content.GroupVersionKind(), content.GetNamespace())
		if meta.IsNoMatchError(err) {
			return struct{}{}, errGone
		}
		if err != nil {
			return struct{}{}, err
		}
		asking, cancel := context.WithTimeout(ctx, requestTimeout)
		defer cancel()
		return struct{}{}, objects.Delete(asking, content.GetName(), metav1.DeleteOptions{
			PropagationPolicy: &propagation,
		})
	})
	if errors.Is(err, errGone) || apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return err
	}
	if content.GetAnnotations()[annotationSkipAwait] == "true" {
		return nil
	}
	return c.awaitGone(ctx, content, say)
}

// errGone ends a deletion whose kind is no longer served.
var errGone = errors.New("the kind is gone")

func (c *cluster) awaitGone(ctx context.Context, content *unstructured.Unstructured, say func(string)) error {
	var uid types.UID
	for wait := firstPoll; ; wait = min(wait*2, lastPoll) {
		live, err := patiently(ctx, patience, say, func() (*unstructured.Unstructured, error) {
			return c.get(ctx, content.GroupVersionKind(), content.GetNamespace(), content.GetName())
		})
		switch {
		case meta.IsNoMatchError(err), err == nil && live == nil:
			return nil
		case err != nil:
			return err
		case uid == "":
			uid = live.GetUID()
		case uid != live.GetUID():
			return nil // another one took its place
		}
		message := "Waiting for deletion" + finalizers(live) + terminatingNamespace(live)
		say(message)
		if err := pause(ctx, wait); err != nil {
			return fmt.Errorf("%s %q is not gone: %w: %s", content.GetKind(), id(content), err, message)
		}
	}
}

func finalizers(live *unstructured.Unstructured) string {
	if len(live.GetFinalizers()) == 0 {
		return ""
	}
	return " (finalizers: " + strings.Join(live.GetFinalizers(), ", ") + ")"
}

// terminatingNamespace says what still holds a namespace back.
func terminatingNamespace(live *unstructured.Unstructured) string {
	if live.GetKind() != "Namespace" {
		return ""
	}
	var reasons []string
	for _, condition := range conditions(live) {
		if condition.status == "True" && condition.message != "" {
			reasons = append(reasons, condition.message)
		}
	}
	if len(reasons) == 0 {
		return ""
	}
	return ": " + strings.Join(reasons, "; ")
}

// pause waits, or says why there is no time left.
func pause(ctx context.Context, wait time.Duration) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(wait):
		return nil
	}
}
