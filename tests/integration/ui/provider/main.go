// A provider of OpenID Connect for the page's tests: zitadel's certified one with the storage of its example, over TLS,
// with users from a file, whose groups are in the ID token or at the userinfo endpoint.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"log"
	"log/slog"
	"net/http"
	"os"

	"github.com/zitadel/oidc/v3/example/server/exampleop"
	"github.com/zitadel/oidc/v3/example/server/storage"
	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"
)

// user is one of the file's users.
type user struct {
	storage.User
	Groups []string
	// AtUserinfo has the groups at the userinfo endpoint instead of in the ID token.
	AtUserinfo bool
}

// users are all, by their IDs.
type users map[string]*user

func (u users) GetUserByID(id string) *storage.User {
	if found, ok := u[id]; ok {
		return &found.User
	}
	return nil
}

func (u users) GetUserByUsername(name string) *storage.User {
	for _, each := range u {
		if each.Username == name {
			return &each.User
		}
	}
	return nil
}

func (u users) ExampleClientID() string { return storage.ServiceUserID }

// provider adds groups to the example's storage.
type provider struct {
	*storage.Storage
	users users
}

func (p provider) SetUserinfoFromRequest(
	ctx context.Context, info *oidc.UserInfo, request op.IDTokenRequest, scopes []string,
) error {
	if err := p.Storage.SetUserinfoFromRequest(ctx, info, request, scopes); err != nil {
		return err
	}
	if found := p.users[request.GetSubject()]; found != nil && !found.AtUserinfo {
		info.AppendClaims("groups", found.Groups)
	}
	return nil
}

func (p provider) SetUserinfoFromToken(
	ctx context.Context, info *oidc.UserInfo, token, subject, origin string,
) error {
	if err := p.Storage.SetUserinfoFromToken(ctx, info, token, subject, origin); err != nil {
		return err
	}
	if found := p.users[subject]; found != nil && found.AtUserinfo {
		info.AppendClaims("groups", found.Groups)
	}
	return nil
}

func main() {
	listen := flag.String("listen", "", "address and port")
	issuer := flag.String("issuer", "", "the issuer's URL")
	certificate := flag.String("certificate", "", "PEM file")
	key := flag.String("key", "", "PEM file")
	client := flag.String("client", "", "the client's ID")
	secret := flag.String("secret", "", "the client's secret")
	redirect := flag.String("redirect", "", "the client's redirect URI")
	file := flag.String("users", "", "JSON file")
	flag.Parse()

	text, err := os.ReadFile(*file)
	if err != nil {
		log.Fatal(err)
	}
	known := users{}
	if err := json.Unmarshal(text, &known); err != nil {
		log.Fatal(err)
	}
	storage.RegisterClients(storage.WebClient(*client, *secret, *redirect))
	store := provider{storage.NewStorage(known), known}
	router := exampleop.SetupServer(*issuer, store, slog.Default(), false)
	log.Fatal(http.ListenAndServeTLS(*listen, *certificate, *key, router))
}
