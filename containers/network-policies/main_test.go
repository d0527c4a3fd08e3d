package main

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

const daemonSet = `{"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": {"name": "network-policies"`

type said struct {
	status int
	body   string
}

func TestRulesGoWithTheDaemonSetAndStayWhenItCannotBeAsked(t *testing.T) {
	there, leaving := said{200, daemonSet + "}}"}, said{200, daemonSet + `, "deletionTimestamp": "2026-11-30T00:00:00Z"}}`}
	for name, each := range map[string]struct {
		answers []said
		gone    bool
	}{
		"there":                    {[]said{there}, false},
		"being deleted":            {[]said{leaving}, true},
		"deleted":                  {[]said{{404, ""}}, true},
		"deleted with its rights":  {[]said{{403, ""}}, true},
		"deleted with its account": {[]said{{401, ""}}, true},
		"asked again":              {[]said{{500, ""}, there}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			asked := 0
			server := httptest.NewServer(http.HandlerFunc(func(answer http.ResponseWriter, request *http.Request) {
				if request.URL.Path != "/apis/apps/v1/namespaces/argus-network/daemonsets/network-policies" {
					t.Error(request.URL)
				}
				now := each.answers[min(asked, len(each.answers)-1)]
				asked++
				answer.Header().Set("Content-Type", "application/json")
				answer.WriteHeader(now.status)
				_, _ = answer.Write([]byte(now.body))
			}))
			defer server.Close()
			client, err := kubernetes.NewForConfig(&rest.Config{Host: server.URL})
			if err != nil {
				t.Fatal(err)
			}
			if got := gone(client, "argus-network/network-policies"); got != each.gone {
				t.Error(got)
			}
			if asked != len(each.answers) {
				t.Errorf("asked %d times", asked)
			}
		})
	}
}

func TestAProgramThatNoDaemonSetStartedIsNotAsked(t *testing.T) {
	if gone(nil, "") {
		t.Error("it is said to be gone")
	}
}
