package main

import (
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

func live(t *testing.T, text string) *unstructured.Unstructured {
	t.Helper()
	content := map[string]any{}
	if err := yaml.Unmarshal([]byte(text), &content); err != nil {
		t.Fatal(err)
	}
	// The API's numbers are whole: make them so again after YAML's.
	object := &unstructured.Unstructured{}
	encoded, err := (&unstructured.Unstructured{Object: content}).MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	if err := object.UnmarshalJSON(encoded); err != nil {
		t.Fatal(err)
	}
	return object
}

func TestPredicates(t *testing.T) {
	tests := map[string]struct {
		object string
		ready  bool
		failed bool
	}{
		"a Deployment that the controller has not seen": {
			object: "{kind: Deployment, apiVersion: apps/v1, metadata: {generation: 2}, spec: {replicas: 1}, " +
				"status: {observedGeneration: 1, replicas: 1, updatedReplicas: 1, availableReplicas: 1}}",
		},
		"a Deployment with an old pod left": {
			object: "{kind: Deployment, apiVersion: apps/v1, spec: {replicas: 1}, " +
				"status: {replicas: 2, updatedReplicas: 1, availableReplicas: 2}}",
		},
		"a Deployment that is available": {
			object: "{kind: Deployment, apiVersion: apps/v1, metadata: {generation: 2}, spec: {replicas: 1}, " +
				"status: {observedGeneration: 2, replicas: 1, updatedReplicas: 1, availableReplicas: 1}}",
			ready: true,
		},
		"a Deployment of nothing": {
			object: "{kind: Deployment, apiVersion: apps/v1, spec: {replicas: 0}, status: {}}", ready: true,
		},
		"a StatefulSet in mid-rollout": {
			object: "{kind: StatefulSet, apiVersion: apps/v1, spec: {replicas: 2}, status: {replicas: 2, " +
				"readyReplicas: 2, updatedReplicas: 1, currentRevision: a, updateRevision: b}}",
		},
		"a StatefulSet whose rollout has ended": {
			object: "{kind: StatefulSet, apiVersion: apps/v1, spec: {replicas: 2}, status: {replicas: 2, " +
				"readyReplicas: 2, updatedReplicas: 2, availableReplicas: 2, currentRevision: b, updateRevision: b}}",
			ready: true,
		},
		"a DaemonSet with a node missing": {
			object: "{kind: DaemonSet, apiVersion: apps/v1, status: {desiredNumberScheduled: 3, " +
				"updatedNumberScheduled: 3, numberAvailable: 2}}",
		},
		"a DaemonSet on all nodes": {
			object: "{kind: DaemonSet, apiVersion: apps/v1, status: {desiredNumberScheduled: 3, " +
				"updatedNumberScheduled: 3, numberAvailable: 3}}",
			ready: true,
		},
		"a Job at work": {object: "{kind: Job, apiVersion: batch/v1, status: {active: 1}}"},
		"a Job that is complete": {
			object: "{kind: Job, apiVersion: batch/v1, status: {conditions: [{type: Complete, status: 'True'}]}}",
			ready:  true,
		},
		"a Job that failed": {
			object: "{kind: Job, apiVersion: batch/v1, status: {conditions: [{type: Failed, status: 'True'}]}}",
			failed: true,
		},
		"a Pod that failed": {object: "{kind: Pod, apiVersion: v1, status: {phase: Failed}}", failed: true},
		"a definition that is established": {
			object: "{kind: CustomResourceDefinition, apiVersion: apiextensions.k8s.io/v1, " +
				"status: {conditions: [{type: Established, status: 'True'}]}}",
			ready: true,
		},
		"an APIService without a server": {
			object: "{kind: APIService, apiVersion: apiregistration.k8s.io/v1, " +
				"status: {conditions: [{type: Available, status: 'False', message: no endpoints}]}}",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			object := live(t, test.object)
			state := predicates[object.GroupVersionKind().GroupKind()](object)
			if state.ready != test.ready || (state.failed != nil) != test.failed {
				t.Errorf("ready %t, failed %v, waiting for %q", state.ready, state.failed, state.waiting)
			}
			if !state.ready && state.failed == nil && state.waiting == "" {
				t.Error("it does not say what it waits for")
			}
		})
	}
}

func TestAServiceNeedsAPodOnlyWhereItSelectsAny(t *testing.T) {
	tests := map[string]struct {
		spec      string
		endpoints int
		ready     bool
	}{
		"no pod behind it": {spec: "{selector: {a: b}, clusterIP: 10.0.0.1}"},
		"a pod behind it":  {spec: "{selector: {a: b}, clusterIP: 10.0.0.1}", endpoints: 1, ready: true},
		"headless":         {spec: "{selector: {a: b}, clusterIP: None}", ready: true},
		"without selector": {spec: "{clusterIP: 10.0.0.1}", ready: true},
		"an outside name":  {spec: "{type: ExternalName, selector: {a: b}}", ready: true},
		"a load balancer":  {spec: "{type: LoadBalancer, selector: {a: b}}", endpoints: 1},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			state := serviceReady(live(t, "{kind: Service, apiVersion: v1, spec: "+test.spec+"}"), test.endpoints)
			if state.ready != test.ready {
				t.Errorf("ready %t: %s", state.ready, state.waiting)
			}
		})
	}
}

func TestAClaimThatWaitsForItsPodIsReady(t *testing.T) {
	pending := live(t, "{kind: PersistentVolumeClaim, apiVersion: v1, status: {phase: Pending}}")
	if !claimReady(pending, true).ready || claimReady(pending, false).ready {
		t.Error("only the class decides whether a pending claim is ready")
	}
}

func TestADeploymentWhoseNewPodFailsSaysThatItDoesNotGetOn(t *testing.T) {
	late := "{type: Progressing, status: 'False', reason: ProgressDeadlineExceeded, message: it has timed out progressing}"
	tests := map[string]string{
		"beside the old one":  "replicas: 2, updatedReplicas: 1, availableReplicas: 1",
		"with no old one":     "replicas: 1, updatedReplicas: 1, availableReplicas: 0",
		"that cannot be made": "replicas: 1, updatedReplicas: 0, availableReplicas: 1",
	}
	for name, counts := range tests {
		t.Run(name, func(t *testing.T) {
			state := deploymentReady(live(t, "{kind: Deployment, apiVersion: apps/v1, spec: {replicas: 1}, "+
				"status: {"+counts+", conditions: [{type: Available, status: 'True'}, "+late+"]}}"))
			// As Pulumi's own plugin, it waits for the whole time that the resource has.
			if state.ready || state.failed != nil || !strings.Contains(state.waiting, "timed out progressing") {
				t.Errorf("ready %t, failed %v, waiting for %q", state.ready, state.failed, state.waiting)
			}
		})
	}
}

func TestWhatAPodSaysOfItsTrouble(t *testing.T) {
	tests := map[string]struct{ status, says string }{
		"a container that crashes again and again": {
			status: "containerStatuses: [{name: app, ready: false, state: {waiting: {reason: CrashLoopBackOff, " +
				"message: back-off 40s}}, lastState: {terminated: {reason: Error, exitCode: 1, message: \"no such file\\n\"}}}]",
			says: ": container app: CrashLoopBackOff back-off 40s; it ended before (Error, exit code 1): no such file",
		},
		"a container that runs again": {
			status: "containerStatuses: [{name: app, ready: false, state: {running: {}}, " +
				"lastState: {terminated: {reason: OOMKilled, exitCode: 137}}}]",
			says: ": container app: it ended before (OOMKilled, exit code 137)",
		},
		"an init container that has just failed": {
			status: "initContainerStatuses: [{name: check, ready: false, state: {terminated: {reason: Error, exitCode: 1, " +
				"message: the model does not run}}}], " +
				"containerStatuses: [{name: app, ready: false, state: {waiting: {reason: PodInitializing}}}]",
			says: ": container check: Error the model does not run",
		},
		"an init container that has done its work, before one that waits for its image": {
			status: "initContainerStatuses: [{name: check, ready: true, state: {terminated: {reason: Completed, exitCode: 0}}}], " +
				"containerStatuses: [{name: app, ready: false, state: {waiting: {reason: ErrImagePull, message: not found}}}]",
			says: ": container app: ErrImagePull not found",
		},
		"a pod that cannot be scheduled": {
			status: "conditions: [{type: PodScheduled, status: 'False', message: 0/5 nodes are available}]",
			says:   ": 0/5 nodes are available",
		},
		"a pod that only needs time": {
			status: "containerStatuses: [{name: app, ready: false, state: {running: {}}}]",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			pod := live(t, "{kind: Pod, apiVersion: v1, status: {phase: Pending, "+test.status+"}}")
			if says := podTrouble(pod); says != test.says {
				t.Errorf("it says %q", says)
			}
		})
	}
}
