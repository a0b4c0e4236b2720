// Reads a SPIFFE bundle map with Go's standard library. In: the map. Out: the subjects of the certificates of each trust domain, in order,
// once the public key of each entry was found to be that of its certificate.
package main

import (
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"log"
	"math/big"
	"os"
)

type key struct {
	Kty string   `json:"kty"`
	Use string   `json:"use"`
	Crv string   `json:"crv"`
	X   string   `json:"x"`
	Y   string   `json:"y"`
	N   string   `json:"n"`
	E   string   `json:"e"`
	X5c [][]byte `json:"x5c"`
}

func main() {
	var document struct {
		TrustDomains map[string]struct {
			Keys []key `json:"keys"`
		} `json:"trust_domains"`
	}
	decoder := json.NewDecoder(os.Stdin)
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&document); err != nil {
		log.Fatal(err)
	}
	answer := map[string][]string{}
	for name, bundle := range document.TrustDomains {
		for _, entry := range bundle.Keys {
			if entry.Use != "x509-svid" || len(entry.X5c) != 1 {
				log.Fatalf("%s: use %q, %d certificates", name, entry.Use, len(entry.X5c))
			}
			certificate, err := x509.ParseCertificate(entry.X5c[0])
			if err != nil {
				log.Fatal(err)
			}
			if !holds(certificate, entry) {
				log.Fatalf("%s: the key is not that of %s", name, certificate.Subject)
			}
			answer[name] = append(answer[name], certificate.Subject.String())
		}
	}
	if err := json.NewEncoder(os.Stdout).Encode(answer); err != nil {
		log.Fatal(err)
	}
}

func holds(certificate *x509.Certificate, entry key) bool {
	switch public := certificate.PublicKey.(type) {
	case *rsa.PublicKey:
		return entry.Kty == "RSA" && public.N.Cmp(number(entry.N)) == 0 && big.NewInt(int64(public.E)).Cmp(number(entry.E)) == 0
	case *ecdsa.PublicKey:
		curve := public.Curve.Params().Name
		return entry.Kty == "EC" && entry.Crv == curve && public.X.Cmp(number(entry.X)) == 0 && public.Y.Cmp(number(entry.Y)) == 0
	default:
		return false
	}
}

func number(text string) *big.Int {
	bytes, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		log.Fatal(err)
	}
	return new(big.Int).SetBytes(bytes)
}
