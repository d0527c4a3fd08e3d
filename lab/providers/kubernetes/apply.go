package main

import (
	"context"
	"encoding/json"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
)

var getOptions = metav1.GetOptions{}

// application is one object to bring into the cluster.
type application struct {
	content *unstructured.Unstructured
	manager string
	force   bool
	ignored []resource.PropertyPath // fields that others own
	say     func(string)
}

// create applies an object that is not there yet, and returns it as it lives. taken tells that it was there already, put
// there for this very resource by a run that was interrupted before it could say so.
func (c *cluster) create(
	ctx context.Context, application application, upsert bool,
) (live *unstructured.Unstructured, taken bool, err error) {
	content := application.content
	existing, err := c.vacant(ctx, application)
	if err != nil {
		return nil, false, err
	}
	if existing != nil {
		taken = managedBy(existing, application.manager)
		if !taken && !upsert {
			return nil, false, fmt.Errorf(
				"%s %q already exists: import it, give this one another name, or set upsertExistingObjects "+
					"(PULUMI_K8S_UPSERT_EXISTING_OBJECTS=true) to adopt it", content.GetKind(), id(content))
		}
	}
	live, err = c.apply(ctx, application)
	return live, taken, err
}

// vacant returns the object that has the place already, or nil. One that is being deleted is waited for.
func (c *cluster) vacant(ctx context.Context, application application) (*unstructured.Unstructured, error) {
	content := application.content
	for {
		existing, err := patiently(ctx, patience, application.say, func() (*unstructured.Unstructured, error) {
			return c.get(ctx, content.GroupVersionKind(), content.GetNamespace(), content.GetName())
		})
		if err != nil || existing == nil || existing.GetDeletionTimestamp() == nil {
			return existing, err
		}
		application.say("Waiting for the earlier object of this name to be gone" + finalizers(existing))
		if err := pause(ctx, retryInterval); err != nil {
			return nil, err
		}
	}
}

// managedBy says whether the resource with this field manager applied the object before.
func managedBy(live *unstructured.Unstructured, manager string) bool {
	for _, entry := range live.GetManagedFields() {
		if entry.Manager == manager && entry.Operation == metav1.ManagedFieldsOperationApply {
			return true
		}
	}
	return false
}

// apply brings the object to what is wished for by server-side apply.
func (c *cluster) apply(ctx context.Context, application application) (*unstructured.Unstructured, error) {
	content := application.content.DeepCopy()
	foldStringData(content)
	if len(application.ignored) > 0 {
		if err := c.keepIgnored(ctx, application, content); err != nil {
			return nil, err
		}
	}
	patch, err := json.Marshal(content)
	if err != nil {
		return nil, fmt.Errorf("write %s %s: %w", content.GetKind(), id(content), err)
	}
	live, err := patiently(ctx, patience, application.say, func() (*unstructured.Unstructured, error) {
		objects, err := c.objects(content.GroupVersionKind(), content.GetNamespace())
		if err != nil {
			return nil, err
		}
		return objects.Patch(ctx, content.GetName(), types.ApplyPatchType, patch, metav1.PatchOptions{
			FieldManager: application.manager, Force: &application.force,
		})
	})
	if apierrors.IsConflict(err) {
		return nil, fmt.Errorf("apply %s %q: another manager owns fields that this resource sets; give it the "+
			"annotation %s: \"true\" to take them over: %w", content.GetKind(), id(content), annotationPatchForce, err)
	}
	if err != nil {
		return nil, fmt.Errorf("apply %s %q: %w", content.GetKind(), id(content), err)
	}
	return live, nil
}

// keepIgnored takes the live values of the fields that the user ignores, so that their owners keep them.
func (c *cluster) keepIgnored(
	ctx context.Context, application application, content *unstructured.Unstructured,
) error {
	live, err := c.get(ctx, content.GroupVersionKind(), content.GetNamespace(), content.GetName())
	if err != nil || live == nil {
		return err
	}
	current := resource.NewProperty(resource.NewPropertyMapFromMap(live.Object))
	wished := resource.NewProperty(resource.NewPropertyMapFromMap(content.Object))
	for _, path := range application.ignored {
		if value, ok := path.Get(current); ok {
			if _, set := path.Get(wished); set {
				path.Set(wished, value)
			}
		}
	}
	content.Object = object(wished.ObjectValue()).Object
	return nil
}
