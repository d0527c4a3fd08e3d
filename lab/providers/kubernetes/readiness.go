package main

import (
	"errors"
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// readiness is what one look at an object tells.
type readiness struct {
	ready   bool
	waiting string // what is still missing
	failed  error  // it will never be ready
}

func ready() readiness { return readiness{ready: true} }

func waitingFor(format string, arguments ...any) readiness {
	return readiness{waiting: fmt.Sprintf(format, arguments...)}
}

// predicates tell, by kind, from the object alone whether it is ready. A kind without one is ready once it exists.
var predicates = map[schema.GroupKind]func(*unstructured.Unstructured) readiness{
	{Group: "apps", Kind: "Deployment"}:                               deploymentReady,
	{Group: "apps", Kind: "StatefulSet"}:                              statefulSetReady,
	{Group: "apps", Kind: "DaemonSet"}:                                daemonSetReady,
	{Group: "apps", Kind: "ReplicaSet"}:                               replicaSetReady,
	{Kind: "ReplicationController"}:                                   replicaSetReady,
	{Kind: "Pod"}:                                                     podReady,
	{Group: "batch", Kind: "Job"}:                                     jobReady,
	{Kind: "PersistentVolume"}:                                        volumeReady,
	{Kind: "Namespace"}:                                               namespaceReady,
	{Group: "apiextensions.k8s.io", Kind: "CustomResourceDefinition"}: definitionReady,
	{Group: "apiregistration.k8s.io", Kind: "APIService"}:             conditionReady("Available"),
}

func deploymentReady(live *unstructured.Unstructured) readiness {
	if paused, _, _ := unstructured.NestedBool(live.Object, "spec", "paused"); paused {
		return ready()
	}
	wished := number(live, 1, "spec", "replicas")
	all, updated := number(live, 0, "status", "replicas"), number(live, 0, "status", "updatedReplicas")
	available := number(live, 0, "status", "availableReplicas")
	switch {
	case !observed(live):
		return waitingFor("the controller has not seen the new spec")
	case updated < wished:
		return waitingFor("%d of %d replicas updated%s", updated, wished, conditionText(live, "Progressing", "ReplicaFailure"))
	case all > updated:
		return waitingFor("%d old replicas still to go%s", all-updated, conditionText(live, "Progressing", "ReplicaFailure"))
	case available < wished:
		return waitingFor("%d of %d replicas available%s", available, wished,
			conditionText(live, "Available", "Progressing", "ReplicaFailure"))
	}
	return ready()
}

func statefulSetReady(live *unstructured.Unstructured) readiness {
	wished := number(live, 1, "spec", "replicas")
	readyReplicas := number(live, 0, "status", "readyReplicas")
	strategy, _, _ := unstructured.NestedString(live.Object, "spec", "updateStrategy", "type")
	partition := number(live, 0, "spec", "updateStrategy", "rollingUpdate", "partition")
	current, _, _ := unstructured.NestedString(live.Object, "status", "currentRevision")
	update, _, _ := unstructured.NestedString(live.Object, "status", "updateRevision")
	updated := number(live, 0, "status", "updatedReplicas")
	switch {
	case !observed(live):
		return waitingFor("the controller has not seen the new spec")
	case number(live, 0, "status", "replicas") > wished:
		return waitingFor("%d replicas too many", number(live, 0, "status", "replicas")-wished)
	case readyReplicas < wished:
		return waitingFor("%d of %d replicas ready", readyReplicas, wished)
	case strategy == "OnDelete", wished == 0:
		return ready()
	case updated < wished-partition:
		return waitingFor("%d of %d replicas updated", updated, wished-partition)
	case partition == 0 && current != update:
		return waitingFor("the rollout of revision %s", update)
	case number(live, wished, "status", "availableReplicas") < wished:
		return waitingFor("%d of %d replicas available", number(live, 0, "status", "availableReplicas"), wished)
	}
	return ready()
}

func daemonSetReady(live *unstructured.Unstructured) readiness {
	wished := number(live, 0, "status", "desiredNumberScheduled")
	updated, available := number(live, 0, "status", "updatedNumberScheduled"), number(live, 0, "status", "numberAvailable")
	strategy, _, _ := unstructured.NestedString(live.Object, "spec", "updateStrategy", "type")
	switch {
	case !observed(live):
		return waitingFor("the controller has not seen the new spec")
	case strategy != "OnDelete" && updated < wished:
		return waitingFor("%d of %d nodes updated", updated, wished)
	case available < wished:
		return waitingFor("%d of %d nodes available", available, wished)
	}
	return ready()
}

func replicaSetReady(live *unstructured.Unstructured) readiness {
	wished, available := number(live, 1, "spec", "replicas"), number(live, 0, "status", "availableReplicas")
	if !observed(live) || available < wished {
		return waitingFor("%d of %d replicas available", available, wished)
	}
	return ready()
}

func podReady(live *unstructured.Unstructured) readiness {
	phase, _, _ := unstructured.NestedString(live.Object, "status", "phase")
	switch {
	case phase == "Succeeded", conditionTrue(live, "Ready"):
		return ready()
	case phase == "Failed":
		return readiness{failed: fmt.Errorf("the pod failed%s", podTrouble(live))}
	}
	return waitingFor("the pod is %s%s", phase, podTrouble(live))
}

func jobReady(live *unstructured.Unstructured) readiness {
	if suspended, _, _ := unstructured.NestedBool(live.Object, "spec", "suspend"); suspended {
		return ready()
	}
	for _, condition := range conditions(live) {
		switch {
		case condition.status != "True":
		case condition.kind == "Complete":
			return ready()
		case condition.kind == "Failed":
			return readiness{failed: fmt.Errorf("the job failed: %s: %s", condition.reason, condition.message)}
		}
	}
	return waitingFor("%d succeeded, %d active, %d failed", number(live, 0, "status", "succeeded"),
		number(live, 0, "status", "active"), number(live, 0, "status", "failed"))
}

func volumeReady(live *unstructured.Unstructured) readiness {
	switch phase, _, _ := unstructured.NestedString(live.Object, "status", "phase"); phase {
	case "Available", "Bound", "Released":
		return ready()
	default:
		return waitingFor("the volume is %q", phase)
	}
}

func namespaceReady(live *unstructured.Unstructured) readiness {
	if phase, _, _ := unstructured.NestedString(live.Object, "status", "phase"); phase != "Active" {
		return waitingFor("the namespace is %q", phase)
	}
	return ready()
}

func definitionReady(live *unstructured.Unstructured) readiness {
	for _, condition := range conditions(live) {
		if condition.kind == "NamesAccepted" && condition.status == "False" {
			return readiness{failed: errors.New("its names are not accepted: " + condition.message)}
		}
	}
	return conditionReady("Established")(live)
}

func conditionReady(kind string) func(*unstructured.Unstructured) readiness {
	return func(live *unstructured.Unstructured) readiness {
		if conditionTrue(live, kind) {
			return ready()
		}
		return waitingFor("it is not %s%s", kind, conditionText(live, kind))
	}
}

// claimReady is for a PersistentVolumeClaim; whether it is bound before a pod asks for it is up to its class.
func claimReady(live *unstructured.Unstructured, waitsForConsumer bool) readiness {
	switch phase, _, _ := unstructured.NestedString(live.Object, "status", "phase"); {
	case phase == "Bound", phase == "Pending" && waitsForConsumer:
		return ready()
	case phase == "Lost":
		return readiness{failed: errors.New("the claim lost its volume")}
	}
	return waitingFor("the claim is not bound")
}

// serviceReady is for a Service; endpoints are the ready ones behind it.
func serviceReady(live *unstructured.Unstructured, endpoints int) readiness {
	kind, _, _ := unstructured.NestedString(live.Object, "spec", "type")
	selector, _, _ := unstructured.NestedMap(live.Object, "spec", "selector")
	address, _, _ := unstructured.NestedString(live.Object, "spec", "clusterIP")
	if kind == "LoadBalancer" {
		if ingress, _, _ := unstructured.NestedSlice(live.Object, "status", "loadBalancer", "ingress"); len(ingress) == 0 {
			return waitingFor("the load balancer has no address")
		}
	}
	if kind == "ExternalName" || len(selector) == 0 || address == "None" || endpoints > 0 {
		return ready()
	}
	return waitingFor("no pod behind the service is ready")
}

// observed says whether the controller has seen the newest spec.
func observed(live *unstructured.Unstructured) bool {
	return number(live, 0, "status", "observedGeneration") >= live.GetGeneration()
}

func number(live *unstructured.Unstructured, otherwise int64, fields ...string) int64 {
	value, found, err := unstructured.NestedInt64(live.Object, fields...)
	if err != nil || !found {
		return otherwise
	}
	return value
}

// condition is one of the object's status.conditions.
type condition struct{ kind, status, reason, message string }

func conditions(live *unstructured.Unstructured) []condition {
	items, _, _ := unstructured.NestedSlice(live.Object, "status", "conditions")
	var found []condition
	for _, item := range items {
		if fields, ok := item.(map[string]any); ok {
			text := func(key string) string {
				value, _ := fields[key].(string)
				return value
			}
			found = append(found, condition{text("type"), text("status"), text("reason"), text("message")})
		}
	}
	return found
}

func conditionTrue(live *unstructured.Unstructured, kind string) bool {
	for _, condition := range conditions(live) {
		if condition.kind == kind {
			return condition.status == "True"
		}
	}
	return false
}

// conditionText is what the named conditions say of trouble.
func conditionText(live *unstructured.Unstructured, kinds ...string) string {
	text := ""
	for _, kind := range kinds {
		for _, condition := range conditions(live) {
			trouble := condition.status == "False" || kind == "ReplicaFailure"
			if condition.kind == kind && trouble && condition.message != "" {
				text += ": " + condition.message
			}
		}
	}
	return text
}

// podTrouble is why a pod is not ready, as far as it knows.
func podTrouble(pod *unstructured.Unstructured) string {
	for _, condition := range conditions(pod) {
		if condition.kind == "PodScheduled" && condition.status == "False" {
			return ": " + condition.message
		}
	}
	for _, field := range []string{"initContainerStatuses", "containerStatuses"} {
		statuses, _, _ := unstructured.NestedSlice(pod.Object, "status", field)
		for _, item := range statuses {
			status, ok := item.(map[string]any)
			if !ok {
				continue
			}
			if trouble := containerTrouble(status); trouble != "" {
				return trouble
			}
		}
	}
	reason, _, _ := unstructured.NestedString(pod.Object, "status", "message")
	if reason != "" {
		return ": " + reason
	}
	return ""
}

// containerTrouble is why a container does not run, and the last message of its previous run.
func containerTrouble(status map[string]any) string {
	if serves, _, _ := unstructured.NestedBool(status, "ready"); serves {
		return ""
	}
	name, _, _ := unstructured.NestedString(status, "name")
	var troubles []string
	for _, state := range []string{"waiting", "terminated"} {
		reason, _, _ := unstructured.NestedString(status, "state", state, "reason")
		message, _, _ := unstructured.NestedString(status, "state", state, "message")
		if reason != "" && reason != "Completed" && reason != "PodInitializing" {
			troubles = append(troubles, strings.TrimSpace(reason+" "+message))
		}
	}
	if reason, found, _ := unstructured.NestedString(status, "lastState", "terminated", "reason"); found {
		code, _, _ := unstructured.NestedInt64(status, "lastState", "terminated", "exitCode")
		message, _, _ := unstructured.NestedString(status, "lastState", "terminated", "message")
		last := fmt.Sprintf("it ended before (%s, exit code %d)", reason, code)
		if message = strings.TrimSpace(message); message != "" {
			last += ": " + message
		}
		troubles = append(troubles, last)
	}
	if len(troubles) == 0 {
		return ""
	}
	return fmt.Sprintf(": container %s: %s", name, strings.Join(troubles, "; "))
}
