# The service, for a Postgres beside it (DATABASE_URL). The embedded one and the second Node are left out: optional packages.
FROM node:24-bookworm-slim AS made
WORKDIR /srv/cordon
COPY package.json package-lock.json .npmrc ./
RUN npm ci
COPY src src
RUN npm run build

FROM node:24-bookworm-slim AS packages
WORKDIR /srv/cordon
COPY package.json package-lock.json .npmrc ./
RUN npm ci --omit=dev --omit=optional

FROM node:24-bookworm-slim
ENV NODE_ENV=production \
    DATA_DIRECTORY=/var/lib/cordon \
    HOST=0.0.0.0 \
    PORT=7300
WORKDIR /srv/cordon
COPY --from=packages /srv/cordon/node_modules node_modules
COPY package.json LICENSE ./
COPY migrations migrations
COPY --from=made /srv/cordon/dist dist
# The volume takes the owner of this directory when it is first used.
RUN mkdir -p /var/lib/cordon && chown node:node /var/lib/cordon && chmod 0700 /var/lib/cordon
USER node
VOLUME /var/lib/cordon
EXPOSE 7300
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s --retries=3 \
  CMD ["node", "-e", "fetch('http://127.0.0.1:' + (process.env.PORT || 7300) + '/livez', { signal: AbortSignal.timeout(2000) }).then((answer) => process.exit(answer.ok ? 0 : 1), () => process.exit(1))"]
ENTRYPOINT ["node", "--disable-warning=ExperimentalWarning", "dist/cli/main.js"]
CMD ["serve"]
