{{/*
Names, labels and the values that more than one template needs.
*/}}

{{- define "pca.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{/* Name of every object of the release: namespaced ones, and cluster-scoped ones that need no namespace in them. */}}
{{- define "pca.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 63 | trimSuffix "-" }}
{{- else if contains (include "pca.name" .) .Release.Name }}
{{- .Release.Name | trunc 63 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name (include "pca.name" .) | trunc 63 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{/* What selects the agent's pods; it may never change, since a DaemonSet's selector is immutable. */}}
{{- define "pca.selectorLabels" -}}
app.kubernetes.io/name: {{ include "pca.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "pca.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{ include "pca.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{- define "pca.serviceAccountName" -}}
{{- if .Values.serviceAccount.create }}
{{- default (include "pca.fullname" .) .Values.serviceAccount.name }}
{{- else }}
{{- required "serviceAccount.name is needed when serviceAccount.create is false" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{/* The user name that the API server gives the agent's token. */}}
{{- define "pca.userName" -}}
{{- printf "system:serviceaccount:%s:%s" .Release.Namespace (include "pca.serviceAccountName" .) }}
{{- end }}

{{/* What holds the agent to the start-up taint of its own node. */}}
{{- define "pca.startupTaintPolicy" -}}
{{- printf "%s-startup-taint" (include "pca.fullname" . | trunc 49 | trimSuffix "-") }}
{{- end }}

{{/* What holds the agent to the certificate requests of its own node where it removes them. */}}
{{- define "pca.requestRemovalPolicy" -}}
{{- printf "%s-request-removal" (include "pca.fullname" . | trunc 47 | trimSuffix "-") }}
{{- end }}

{{/* Whether the agent speaks to the API server with its service account's token. */}}
{{- define "pca.usesToken" -}}
{{- if ne .Values.identity.mode "kubelet" }}true{{ end }}
{{- end }}

{{- define "pca.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ default .Chart.AppVersion .Values.image.tag }}
{{- end }}
{{- end }}

{{/* The part of the agent's configuration that it reads at its start: a change rolls the DaemonSet. */}}
{{- define "pca.fixedConfiguration" -}}
driverName: {{ .Values.driverName | quote }}
kubeletRoot: {{ .Values.kubeletRoot | quote }}
{{- if eq .Values.identity.mode "impersonatedNode" }}
impersonateNode: true
{{- else if eq .Values.identity.mode "kubelet" }}
kubeconfig: {{ .Values.identity.kubelet.kubeconfig | quote }}
{{- end }}
publishTimeout: {{ .Values.publishTimeout }}
maxConcurrentRequests: {{ .Values.rateLimits.maxConcurrentRequests }}
maxConcurrentRsa: {{ .Values.rateLimits.maxConcurrentRsa }}
logFormat: {{ .Values.logging.format }}
{{- if and (or (hasPrefix "127." .Values.endpoint.host) (eq .Values.endpoint.host "[::1]")) (not .Values.hostNetwork) }}
{{- fail "endpoint.host is a loopback address, which nobody outside the pod reaches without hostNetwork" }}
{{- end }}
metricsAddress: {{ printf "%s:%v" .Values.endpoint.host .Values.endpoint.port | quote }}
{{- if .Values.endpoint.tlsSecret }}
tlsCertFile: /etc/pod-certificate-agent/tls/tls.crt
tlsKeyFile: /etc/pod-certificate-agent/tls/tls.key
{{- end }}
{{- if and (not .Values.hostNetwork) (ne (int .Values.endpoint.port) 9809) }}
# The pod's own loopback address: for `kubectl exec … status` and `kubectl port-forward`.
localAddress: 127.0.0.1:9809
{{- end }}
trustDomain: {{ .Values.trustDomain | quote }}
{{- if .Values.startupTaint.enabled }}
startupTaint: {{ .Values.startupTaint.key | quote }}
{{- end }}
podMetrics: {{ .Values.metrics.perPod }}
issueAhead: {{ .Values.issueAhead }}
reloadSignals: {{ .Values.reloadSignals }}
volumeCondition: {{ .Values.volumeCondition }}
{{- end }}

{{/* Whether a rule sends signers to the API of the given key. */}}
{{- define "pca.asks" -}}
{{- $api := index . 1 -}}
{{- range (index . 0).Values.issuers }}{{ if hasKey . $api }}true{{ end }}{{ end }}
{{- end }}

{{/* Whether a rule sends signers to the API of the given key, and wants the agent's own identity for it. */}}
{{- define "pca.asksAsAgent" -}}
{{- $api := index . 1 -}}
{{- range (index . 0).Values.issuers }}{{ if and (hasKey . $api) (ne (default "agent" .as) "pod") }}true{{ end }}{{ end }}
{{- end }}

{{/* Audiences of the tokens that rules with `as: pod` need, as JSON; null where no rule says so. */}}
{{- define "pca.podAudiences" -}}
{{- $audiences := list -}}
{{- range .Values.issuers }}{{ if eq (default "agent" .as) "pod" }}{{ $audiences = append $audiences (default "" .audience) }}{{ end }}{{ end -}}
{{- if $audiences }}{{ toJson (uniq $audiences) }}{{ end }}
{{- end }}

{{/* The part that takes effect while the agent runs. */}}
{{- define "pca.reloadableConfiguration" -}}
logLevel: {{ .Values.logging.level }}
requestsPerSecond: {{ .Values.rateLimits.requestsPerSecond }}
burst: {{ .Values.rateLimits.burst }}
issuers: {{ toJson .Values.issuers }}
followSuggestedKeyType: {{ .Values.followSuggestedKeyType }}
allowedSigners: {{ toJson .Values.allowedSigners }}
{{- end }}

{{/*
Probes ask over a socket in the plugin's directory, where no stranger on the network can keep them waiting. A node that is short
of processor time takes its time to start a program, hence the long limits.
*/}}
{{- define "pca.probe" -}}
exec:
  command:
    - /usr/local/bin/node
    - /usr/local/lib/pod-certificate-agent/probe.mjs
    - {{ .probe }}
    - --socket={{ .Values.kubeletRoot }}/plugins/{{ .Values.driverName }}/csi.sock.probe
timeoutSeconds: 10
{{- end }}

{{/* The service account whose token Prometheus sends. */}}
{{- define "pca.scraperName" -}}
{{- printf "%s-scraper" (include "pca.fullname" . | trunc 55 | trimSuffix "-") }}
{{- end }}

{{/* What selects the trial signer's pods. They are none of the agent's: its selector must not match them. */}}
{{- define "pca.trialSignerSelector" -}}
app.kubernetes.io/name: {{ printf "%s-trial-signer" (include "pca.name" . | trunc 50 | trimSuffix "-") }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "pca.trialSignerLabels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{ include "pca.trialSignerSelector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{- define "pca.trialSignerImage" -}}
{{- with .Values.trialSigner.image -}}
{{- if .digest -}}
{{ .repository }}@{{ .digest }}
{{- else -}}
{{ .repository }}:{{ default $.Chart.AppVersion .tag }}
{{- end }}
{{- end }}
{{- end }}
