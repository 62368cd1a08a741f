// Package containertest holds the containers to the platform's promises. Its tests bring the project's compose files
// up, under a project name and on ports of their own, and kill containers while votes come in. They need a Docker
// engine with Compose v2, and a Chromium, and so have a build tag of their own:
//
//	go test -tags containers -count=1 -timeout 15m ./infra/containertest
package containertest
